import { closeSync, openSync, readSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { IndexDevice, Node } from '../erofs/node.ts';
import { type IndexOptions, type WrittenIndex, writeIndex } from '../erofs/write.ts';
import { MicaError } from '../errors.ts';
import { hexOf } from '../oci/digest.ts';
import { fromNode } from '../sys/errno.ts';
import { writeAll } from '../io/write-all.ts';
import type { UnpackJob } from './unpack-job.ts';

/** Characters that a device's tag has room for. */
const TAG = 64;

export const INDEX_FILE = 'index.erofs';
export const TAR_FILE = 'layer.tar';
export const FILES_DIRECTORY = 'fs';

/**
 * Writes `index.erofs` into the job's directory.
 * @param devices - tars that the tree has content in, beginning with the layer's own
 */
export function writeLayerIndex(
  root: Node,
  job: UnpackJob,
  devices: readonly IndexDevice[],
): WrittenIndex {
  using tars = new Tars(tarPaths(job, devices));
  const read = job.form === 'tar' && { read: tars.read };
  return writeIndexFile(root, join(job.directory, INDEX_FILE), { devices, ...read });
}

/** Writes an index to a file, replacing what is there. */
export function writeIndexFile(root: Node, path: string, options: IndexOptions): WrittenIndex {
  rmSync(path, { force: true });
  const fd = openSync(path, 'wx', 0o600);
  try {
    return writeIndex(root, (chunk) => writeAll(fd, chunk, path), options);
  } finally {
    closeSync(fd);
  }
}

/**
 * Refuses an index that does not know where in the kept tars all content is: its mount would show
 * zeros in that place.
 */
export function refuseUnmapped({ unmapped }: Pick<WrittenIndex, 'unmapped'>): void {
  if (unmapped > 0)
    throw new MicaError(
      'RESOURCE_EXHAUSTED',
      `${unmapped} sparse files of the layer are in too many pieces for an index over its tar; use a storage driver that unpacks layers, as overlay2 does (mica migrate --driver NAME)`,
    );
}

/** Where the tars of the devices are, if they are kept. */
function tarPaths(job: UnpackJob, devices: readonly IndexDevice[]): (string | undefined)[] {
  const directoryOf = (tag: string): string | undefined =>
    job.parents?.find(({ diffId, form }) => form === 'tar' && tagOf(diffId) === tag)?.directory;
  return devices.map(({ tag }, i) => {
    const directory = i === 0 ? job.directory : directoryOf(tag);
    return directory === undefined ? undefined : join(directory, TAR_FILE);
  });
}

export const tagOf = (diffId: UnpackJob['diffId'] & {}): string => hexOf(diffId).slice(0, TAG);

/** Tars open for what must be copied out of them. */
class Tars implements Disposable {
  readonly #paths: readonly (string | undefined)[];
  readonly #fds = new Map<string, number>();

  constructor(paths: readonly (string | undefined)[]) {
    this.#paths = paths;
  }

  read = (device: number, physical: number, into: Uint8Array): void => {
    const path = this.#paths[device - 1];
    if (path === undefined)
      throw new MicaError('FAILED_PRECONDITION', `the tar of device ${device} is not kept`);
    for (let at = 0; at < into.length;) {
      const read = this.#readAt(path, into, at, physical);
      if (read === 0) throw new MicaError('DATA_LOSS', `${path} ends before byte ${physical + at}`);
      at += read;
    }
  };

  [Symbol.dispose](): void {
    for (const fd of this.#fds.values()) closeSync(fd);
    this.#fds.clear();
  }

  #readAt(path: string, into: Uint8Array, at: number, physical: number): number {
    try {
      let fd = this.#fds.get(path);
      if (fd === undefined) this.#fds.set(path, (fd = openSync(path, 'r')));
      return readSync(fd, into, at, into.length - at, physical + at);
    } catch (error) {
      throw fromNode(error);
    }
  }
}

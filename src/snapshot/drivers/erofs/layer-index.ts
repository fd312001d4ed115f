import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { IndexDevice } from '../../../erofs/node.ts';
import { openIndex } from '../../../erofs/read.ts';
import { isCode, MicaError } from '../../../errors.ts';
import type { Digest } from '../../../oci/digest.ts';
import { errnoOf, fromNode } from '../../../sys/errno.ts';
import type { RootAttributes } from '../root-attributes.ts';

export const INDEX = 'index.erofs';
export const TAR = 'layer.tar';

const REPAIR = '`mica check --repair` unpacks it again';

/** What a mount must know of a layer's index. */
export interface IndexFacts {
  /** 32 hex digits. */
  readonly uuid: string;
  /** Beginning with the layer's own tar; tags are the hex digits of diffIDs. */
  readonly devices: readonly IndexDevice[];
}

/** @throws DATA_LOSS when it is missing or damaged */
export function readIndexFacts(directory: string): IndexFacts {
  using index = open(directory);
  return { uuid: index.uuid, devices: index.devices };
}

export function readRootAttributes(directory: string): RootAttributes {
  using index = open(directory);
  return { stat: index.stat(index.root), xattrs: index.xattrs(index.root) };
}

function open(directory: string): ReturnType<typeof openIndex> {
  try {
    return openIndex(join(directory, INDEX));
  } catch (error) {
    if (isCode(error, 'NOT_FOUND'))
      throw new MicaError('DATA_LOSS', `layer ${directory}: its index is missing; ${REPAIR}`, {
        cause: error,
      });
    throw error;
  }
}

/**
 * Refuses an index that is not the one that was written here: the kernel would have to trust it.
 * @param recorded - its sha256 as the store knows it
 * @throws DATA_LOSS
 */
export function verifyIndex(directory: string, recorded: Digest | undefined): void {
  if (recorded === undefined)
    throw new MicaError(
      'DATA_LOSS',
      `layer ${directory}: its index is not mounted, because the store did not write it; ${REPAIR}`,
    );
  if (digestOf(join(directory, INDEX)) !== recorded)
    throw new MicaError(
      'DATA_LOSS',
      `layer ${directory}: its index is not the one that was written; ${REPAIR}`,
    );
}

/** At once: most are some KiB, and the largest some MiB, which takes less than changing threads for them. */
function digestOf(path: string): Digest {
  const hash = createHash('sha256');
  try {
    const fd = openSync(path, 'r');
    try {
      for (let read = -1; read !== 0;) {
        read = readSync(fd, PIECE);
        hash.update(PIECE.subarray(0, read));
      }
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw fromNode(error);
  }
  return `sha256:${hash.digest('hex')}`;
}

const PIECE = Buffer.allocUnsafeSlow(64 * 1024);

/** What the kernel would find out by EIO when somebody reads a file. @throws DATA_LOSS */
export function verifyTar(directory: string, { size }: IndexDevice): void {
  const path = join(directory, TAR);
  const there = sizeOf(path);
  if (there !== undefined && there + SLACK > size) return;
  const wrong = there === undefined ? 'is missing' : `has ${there} bytes instead of ${size}`;
  throw new MicaError('DATA_LOSS', `layer ${directory}: its ${TAR} ${wrong}; ${REPAIR}`);
}

/** The size of a device is told in whole blocks of 512 bytes. */
const SLACK = 512;

function sizeOf(path: string): number | undefined {
  try {
    return statSync(path).size;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw fromNode(error);
  }
}

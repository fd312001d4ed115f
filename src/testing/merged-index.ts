import { execFileSync } from 'node:child_process';
import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { mergeIndexes } from '../erofs/merge.ts';
import { openIndex } from '../erofs/read.ts';
import { writeIndex } from '../erofs/write.ts';
import type { ParentLayer } from '../layer/unpack-job.ts';
import { errnoOf } from '../sys/errno.ts';
import { performMounts } from '../sys/mount.ts';

/**
 * Writes what the indexes of `layers` (base first) merge into.
 * @returns the tars that it needs as devices, in their order
 */
export function writeMerged(layers: readonly ParentLayer[], path: string): string[] {
  using undo = new DisposableStack();
  const indexes = layers.map(({ directory }) =>
    undo.use(openIndex(join(directory, 'index.erofs'))),
  );
  const file = openSync(path, 'wx');
  undo.defer(() => closeSync(file));
  const { root, devices, read } = mergeIndexes(indexes);
  writeIndex(root, (chunk) => writeSync(file, chunk), { devices, read });
  const directories = new Map(layers.map(({ diffId, directory }) => [diffId.slice(7), directory]));
  return devices.map(({ tag }) => join(directories.get(tag)!, 'layer.tar'));
}

/** Mounts an index: straight from files where their file system allows it, else through loop devices. */
export async function mountIndex(
  index: string,
  devices: readonly string[],
  target: string,
): Promise<AsyncDisposable> {
  await using undo = new AsyncDisposableStack();
  const mount = async ([source, ...rest]: readonly string[]): Promise<void> => {
    const options = ['ro', ...rest.map((path) => `device=${path}`)];
    undo.use(await performMounts([{ type: 'erofs', source: source!, options }], target));
  };
  try {
    await mount([index, ...devices]);
  } catch (error) {
    if (errnoOf(error) !== 'ENOTBLK') throw error;
    const loops = [index, ...devices].map((path) => attachLoop(path));
    for (const loop of loops) undo.defer(() => void losetup('--detach', loop));
    await mount(loops);
  }
  return undo.move();
}

const attachLoop = (path: string): string => losetup('--find', '--show', '--read-only', path);

const losetup = (...args: string[]): string =>
  execFileSync('losetup', args, { encoding: 'utf8' }).trim();

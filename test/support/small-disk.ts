import { execFile } from 'node:child_process';
import { mkdir, mkdtempDisposable, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freeSpace } from '../../src/sys/features.ts';

const run = promisify(execFile);

/** A file system of its own, most of it taken by something else. Needs loop devices. */
export interface SmallDisk extends AsyncDisposable {
  readonly path: string;
  /** Removes what takes the space. */
  makeRoom(): Promise<void>;
}

/** @param free bytes that are left @param size bytes that there are with room */
export async function openSmallDisk(free: number, size: number): Promise<SmallDisk> {
  await using stack = new AsyncDisposableStack();
  const directory = stack.use(await mkdtempDisposable(join(tmpdir(), 'mica-disk-')));
  const [image, path] = [join(directory.path, 'image'), join(directory.path, 'mounted')];
  await writeFile(image, '');
  await truncate(image, size);
  await run('mkfs.ext4', ['-q', '-m', '0', image]);
  await mkdir(path);
  await run('mount', ['-o', 'loop', image, path]);
  stack.defer(async () => void (await run('umount', [path])));
  const ballast = join(path, 'ballast');
  await run('fallocate', ['-l', String(freeSpace(path).bytes - free), ballast]);
  const all = stack.move();
  return {
    path,
    makeRoom: () => rm(ballast),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

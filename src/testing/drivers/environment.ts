import { execFile } from 'node:child_process';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { unmount } from '../../sys/mount/unmount.ts';
import { readMountinfo } from '../../sys/mountinfo.ts';
import { inUserNamespace } from '../../sys/userns.ts';
import { isMet } from '../need.ts';
import { imageFile } from './image-file.ts';
import type { DriverSuite, Environment, WantedEnvironment } from './suite.ts';

const run = promisify(execFile);

/** Where a driver is tested: its own environment, or what suffices for one that works anywhere. */
export async function environmentOf(
  { environment }: DriverSuite,
  wanted: WantedEnvironment,
): Promise<Environment> {
  if (environment !== undefined) return environment(wanted);
  const canMount = isMet('root') && isMet('loop') && !inUserNamespace();
  if (wanted.small || wanted.large || canMount) return loopFileSystem('ext4')(wanted);
  const directory = await mkdtempDisposable(join(tmpdir(), 'mica-driver-'));
  return {
    path: directory.path,
    async [Symbol.asyncDispose]() {
      unmountBelow(directory.path);
      await directory[Symbol.asyncDispose]();
    },
  };
}

/**
 * A file system of its own on a loop device. Needs root, and `mkfs.<type>`.
 * @param mib - of the two sizes; a file system that needs more says so
 */
export const loopFileSystem =
  (type: string, { mib = 2048, small = 64 }: { mib?: number; small?: number } = {}) =>
  async ({ small: isSmall, large }: WantedEnvironment): Promise<Environment> => {
    await using stack = new AsyncDisposableStack();
    const image = stack.use(await imageFile(isSmall ? small : mib, large));
    const directory = stack.use(await mkdtempDisposable(join(tmpdir(), `mica-${type}-`)));
    const { path } = directory;
    await run(`mkfs.${type}`, ['-q', ...(MKFS[type] ?? []), image.path]);
    const direct = `--direct-io=${large === undefined ? 'off' : 'on'}`;
    const { stdout } = await run('losetup', [direct, '--find', '--show', image.path]);
    const device = stdout.trim();
    stack.defer(async () => void (await run('losetup', ['--detach', device])));
    const unsafe = large === undefined ? (MOUNT[type] ?? []) : [];
    await run('mount', ['-o', ['noatime', ...unsafe].join(), device, path]);
    stack.defer(() => unmountBelow(path));
    const all = stack.move();
    return { path, [Symbol.asyncDispose]: () => all.disposeAsync() };
  };

/** Without what is kept back for root, and with the size of a journal that fits. */
const MKFS: Readonly<Record<string, readonly string[]>> = { ext4: ['-m', '0'] };

/** What is deleted gives its memory back; nothing need survive the machine. */
const MOUNT: Readonly<Record<string, readonly string[]>> = {
  btrfs: ['nobarrier'],
  ext4: ['nobarrier', 'discard'],
};

/** What is mounted on a directory and below it, nothing of which is lost with the mount. */
export function unmountBelow(path: string): void {
  for (const { target } of readMountinfo().reverse())
    if (target === path || target.startsWith(`${path}/`)) unmount(target, { detach: true });
}

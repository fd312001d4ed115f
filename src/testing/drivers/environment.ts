import { execFile } from 'node:child_process';
import { mkdir, mkdtempDisposable, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { unmount } from '../../sys/mount/unmount.ts';
import { readMountinfo } from '../../sys/mountinfo.ts';
import type { DriverSuite, Environment, WantedEnvironment } from './suite.ts';

const run = promisify(execFile);
const MIB = 1 << 20;

/** Where a driver is tested: its own environment, or what suffices for one that works anywhere. */
export async function environmentOf(
  { name, environment }: DriverSuite,
  wanted: WantedEnvironment,
): Promise<Environment> {
  if (environment !== undefined) return environment(wanted);
  if (wanted.small) return loopFileSystem('ext4')(wanted);
  const directory = await mkdtempDisposable(
    join(tmpdir(), `mica-${name.replaceAll(/\W+/g, '-')}-`),
  );
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
    const within = large?.directory ?? tmpdir();
    const directory = stack.use(await mkdtempDisposable(join(within, `mica-${type}-`)));
    const [image, path] = [join(directory.path, 'image'), join(directory.path, 'mounted')];
    await writeFile(image, '');
    await truncate(image, (large?.mib ?? (isSmall ? small : mib)) * MIB);
    await run(`mkfs.${type}`, ['-q', ...(MKFS[type] ?? []), image]);
    await mkdir(path);
    const direct = `--direct-io=${large === undefined ? 'off' : 'on'}`;
    const { stdout } = await run('losetup', [direct, '--find', '--show', image]);
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

/** Each snapshot is a transaction, which need not survive the machine here. */
const MOUNT: Readonly<Record<string, readonly string[]>> = { btrfs: ['nobarrier'] };

/** What is mounted on a directory and below it, nothing of which is lost with the mount. */
export function unmountBelow(path: string): void {
  for (const { target } of readMountinfo().reverse())
    if (target === path || target.startsWith(`${path}/`)) unmount(target, { detach: true });
}

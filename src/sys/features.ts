import { mkdirSync, readFileSync, statfsSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { hasKernel } from './binding.ts';
import { fromNode } from './errno.ts';
import { performMounts } from './mount.ts';
import { lowerdirOption } from './mount-data.ts';

/** What the kernel of this machine says it can do. */
export interface Features {
  /** `6.12.1`, or '' off Linux. */
  readonly kernel: string;
  /** Names of the file systems the kernel knows at this moment. */
  readonly fileSystems: ReadonlySet<string>;
  /** How many user namespaces a user may create; 0 where they are forbidden. */
  readonly maxUserNamespaces: number;
}

export function features(): Features {
  if (process.platform !== 'linux')
    return { kernel: '', fileSystems: new Set(), maxUserNamespaces: 0 };
  const names = read('/proc/filesystems').split('\n');
  return {
    kernel: release(),
    fileSystems: new Set(names.map((line) => line.split('\t')[1] ?? '').filter(Boolean)),
    maxUserNamespaces: Number(read('/proc/sys/user/max_user_namespaces')) || 0,
  };
}

/**
 * Tries an overlay mount in the existing, empty `directory`, whose file system must carry the upper layer.
 * @returns `undefined` when it works, else the reason for people
 */
export async function overlayRefusal(
  directory: string,
  options: { readonly userxattr?: boolean } = {},
): Promise<string | undefined> {
  if (!hasKernel()) return 'overlayfs needs Linux';
  try {
    const [lower, upper, work, merged] = ['l', 'u', 'w', 'm'].map((name) => join(directory, name));
    for (const path of [lower, upper, work, merged]) mkdirSync(path!);
    const how = options.userxattr ? ['userxattr'] : [];
    const dirs = [lowerdirOption([lower!]), `upperdir=${upper}`, `workdir=${work}`];
    const mount = { type: 'overlay', source: 'overlay', options: [...how, ...dirs] };
    await using _ = await performMounts([mount], merged!);
    return undefined;
  } catch (error) {
    const why = fromNode(error);
    return why instanceof Error ? why.message : String(why);
  }
}

/** What is left for this user on the file system of `path`. */
export function freeSpace(path: string): { readonly bytes: number; readonly inodes: number } {
  try {
    const { bavail, bsize, ffree } = statfsSync(path, { bigint: true });
    return { bytes: Number(bavail * bsize), inodes: Number(ffree) };
  } catch (error) {
    throw fromNode(error);
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

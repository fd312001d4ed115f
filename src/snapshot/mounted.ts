import { readdirSync, readlinkSync, realpathSync } from 'node:fs';
import { join, relative } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import type { SharedMount } from '../sys/mount-data.ts';
import { mountsInUse } from '../sys/mount-users.ts';
import { AUFS } from '../sys/mount/aufs.ts';
import { FUSE_OVERLAYFS } from '../sys/mount/fuse-overlayfs.ts';
import { isSourceBelow } from '../sys/mount/source.ts';
import { type MountInfo, readMountinfo } from '../sys/mountinfo.ts';

/**
 * Mount points through which somebody can write below `directory`: binds of what is in it, overlays
 * whose upper layer is in it, and whatever else shows `tree`, its file system, than the mount point that
 * is shared. In every mount namespace that this process may look into.
 */
export function mountedFrom(directory: string, tree?: SharedMount): string[] {
  const found = writableIn(mountTables(), directory, tree);
  return [...new Set(found.map(({ target }) => target))];
}

/** How long a mount namespace that is being made may have a copy of our mount, in seconds. */
const COPIED = 10;

export interface StaysOptions {
  readonly tree?: SharedMount | undefined;
  /** Whether what is mounted elsewhere counts although no process uses it. */
  readonly unused: 'counts' | 'ignored';
}

/**
 * Where {@link mountedFrom} still finds something: at once in this mount namespace, and in others when
 * it stays there. Whoever starts a container has, for a moment, a copy of every mount of the machine;
 * who makes himself a namespace has it as long as he lives, and mostly never looks at it.
 */
export async function staysMountedFrom(
  directory: string,
  { tree, unused }: StaysOptions,
): Promise<string | undefined> {
  for (const until = process.uptime() + COPIED; ;) {
    const [here] = writableIn([readMountinfo()], directory, tree);
    if (here !== undefined) return here.target;
    const elsewhere = writableIn(mountTables([OWN]), directory, tree);
    const counted = unused === 'counts' ? elsewhere : usedOf(elsewhere);
    if (counted.length === 0 || process.uptime() > until) return counted[0]?.target;
    await setTimeout(10);
  }
}

function usedOf(mounts: readonly MountInfo[]): readonly MountInfo[] {
  if (mounts.length === 0) return mounts;
  const used = mountsInUse(new Set(mounts.map(({ id }) => id)));
  return mounts.filter(({ id }) => used.has(id));
}

function writableIn(
  tables: Iterable<readonly MountInfo[]>,
  directory: string,
  tree: SharedMount | undefined,
): MountInfo[] {
  if (process.platform !== 'linux') return [];
  const real = realPath(directory);
  if (real === undefined) return [];
  const shared = tree && { ...tree, target: realPath(tree.target) ?? tree.target };
  return [...tables].flatMap((mounts) => [
    ...mountsFrom(real, directory, mounts),
    ...(shared ? mountsOf(shared, mounts) : []),
  ]);
}

function realPath(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    return undefined;
  }
}

/** Where else than on its shared mount point a file system is mounted. */
function mountsOf({ source, target }: SharedMount, mounts: readonly MountInfo[]): MountInfo[] {
  const shared = mounts.findLast((mount) => mount.target === target);
  return mounts.filter(
    (mount) =>
      mount.target !== target && (mount.source === source || mount.device === shared?.device),
  );
}

function mountsFrom(real: string, named: string, mounts: readonly MountInfo[]): MountInfo[] {
  const home = mounts.findLast(({ target }) => isWithin(target, real));
  if (home === undefined) return [];
  // What a mount shows is told as a path from the root of its file system.
  const inside = join(home.root, relative(home.target, real));
  return mounts.filter(
    (mount) =>
      (mount !== home && mount.device === home.device && isWithin(inside, mount.root)) ||
      [real, named].some((path) => writesInto(mount, path)),
  );
}

/** Whether it is a union that keeps its changes below `path`. */
function writesInto({ type, source, superOptions }: MountInfo, path: string): boolean {
  if (!UNIONS.has(type)) return false;
  const option = superOptions.find((one) => one.startsWith(UPPER));
  // Told as it was given: what is special there has a backslash before it.
  const upper = option?.slice(UPPER.length).replace(/\\(.)/g, '$1') ?? '';
  // Also by another name of the store; a descriptor was one of whoever mounted.
  const names = [source, upper].flatMap((told) => [
    told,
    told.startsWith('/') && !told.startsWith('/proc/') ? (realPath(told) ?? '') : '',
  ]);
  return names.some((name) => isSourceBelow(path, name));
}

const UNIONS: ReadonlySet<string> = new Set([FUSE_OVERLAYFS, AUFS, 'overlay']);
const UPPER = 'upperdir=';

const isWithin = (directory: string, path: string): boolean =>
  path === directory || path.startsWith(directory === '/' ? '/' : `${directory}/`);

/** As a number of a process. */
const OWN = 'self';

/**
 * The mounts of each namespace, once. A process that ends meanwhile, or is not ours to see, has none.
 * @param without - processes whose namespaces are left out
 */
function* mountTables(without: readonly string[] = []): Generator<MountInfo[]> {
  const seen = new Set(without.map(namespaceOf));
  for (const pid of [OWN, ...readdirSync('/proc').filter((name) => /^\d+$/.test(name))]) {
    try {
      const namespace = namespaceOf(pid);
      if (seen.has(namespace)) continue;
      seen.add(namespace);
      yield readMountinfo(pid);
    } catch {}
  }
}

const namespaceOf = (pid: string): string => readlinkSync(`/proc/${pid}/ns/mnt`);

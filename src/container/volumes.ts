import { posix } from 'node:path';
import { Root } from '../fs/root.ts';
import type { Change, Changes } from '../layer/diff/change.ts';
import type { ContainerDefaults } from '../oci/config.ts';
import { makeDirectory } from '../runtime/spec/make-directory.ts';
import { toBytes } from '../sys/byte-string.ts';
import { configOf } from './config.ts';
import type { ContainerSettings } from './container.ts';

/**
 * Directories that an image, or who created the container, declares as volumes. They are in the
 * writable layer, and no change of the image.
 *
 * @returns absolute paths, none of them the root
 */
export const volumesOf = (settings: ContainerSettings, image: ContainerDefaults): string[] =>
  Object.keys(configOf(settings, image).Volumes ?? {})
    .map((path) => posix.join('/', path).replace(/(?<=.)\/+$/, ''))
    .filter((path) => path !== '/');

/** Creates those that the image lacks, in its mounted tree, unless something is mounted there. */
export function makeVolumes(
  rootfs: string,
  volumes: readonly string[],
  { binds = [], tmpfs = [] }: ContainerSettings['options'],
): void {
  if (volumes.length === 0) return;
  const mounted = [...binds, ...tmpfs].map(({ target }) => posix.join('/', target, '/'));
  using root = new Root(rootfs);
  for (const volume of volumes)
    if (!mounted.some((target) => `${volume}/`.startsWith(target)))
      makeDirectory(root, volume, 'volume');
}

const S_IFMT = 0o170000;
const S_IFDIR = 0o040000;

/**
 * Changes without what is in volumes. Of one that was made only the directory is left, and of a file
 * that has names in and outside of it those outside.
 */
export function withoutVolumes({ root, list }: Changes, volumes: readonly string[]): Changes {
  if (volumes.length === 0) return { root, list };
  const paths = new Set(volumes.map((path) => toBytes(path.slice(1))));
  const isInside = (path: string): boolean => pathsAbove(path).some((one) => paths.has(one));
  /** First names that are gone → those that stand in for them. */
  const firsts = new Map<string, string>();
  const kept: Change[] = [];
  for (const change of list) {
    if (isInside(change.path)) {
      if (paths.has(change.path) && isNewDirectory(change)) kept.push(change);
    } else if (change.kind !== 'deleted' && change.link !== undefined && isInside(change.link)) {
      const link = firsts.get(change.link);
      if (link === undefined) firsts.set(change.link, change.path);
      kept.push({ ...change, link });
    } else kept.push(change);
  }
  return { root, list: kept.length === list.length ? kept : withoutEmpty(kept) };
}

/** `a/b/c` → `a/b/c`, `a/b`, `a`. */
const pathsAbove = (path: string): string[] =>
  path.split('/').map((_, at, names) => names.slice(0, names.length - at).join('/'));

const isNewDirectory = (change: Change): boolean =>
  change.kind === 'added' && (change.stat.mode & S_IFMT) === S_IFDIR;

/** Without directories that are there for what is below them alone, and nothing is. */
function withoutEmpty(list: readonly Change[]): Change[] {
  const filled = new Set<string>();
  return list
    .toReversed()
    .filter((change) => {
      const isLeft =
        change.kind !== 'modified' || change.what !== 'below' || filled.has(change.path);
      if (isLeft && change.path !== '')
        filled.add(change.path.slice(0, Math.max(0, change.path.lastIndexOf('/'))));
      return isLeft;
    })
    .reverse();
}

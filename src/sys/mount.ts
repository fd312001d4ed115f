import { AT_FDCWD, close, O_DIRECTORY, O_PATH, openat } from './at.ts';
import { toBytes } from './byte-string.ts';
import { errnoOf } from './errno.ts';
import { AUFS, mountAufs } from './mount/aufs.ts';
import { attach, FsContext, openTree, setAttributes } from './mount/context.ts';
import { type Mount, parseLowerdir, type SharedMount } from './mount-data.ts';
import { FUSE_ZFS, mountByZfs } from './mount/by-zfs.ts';
import { FUSE_OVERLAYFS, mountFuseOverlayfs } from './mount/fuse-overlayfs.ts';
import { mountOverLoops } from './mount/over-loops.ts';
import { mountByOldCall } from './mount/old-call.ts';
import { attributesOf, splitOptions } from './mount/options.ts';
import { ensureShared, isShared, lockShared } from './mount/shared.ts';
import { ShortPaths } from './mount/short-paths.ts';
import { tellingUpper } from './mount/source.ts';
import { unmount } from './mount/unmount.ts';
import { mountWindowsLayer } from './windows/layer-mount.ts';

/** The longest string that fsconfig(2) takes, in bytes. */
const MAX_VALUE = 255;

/**
 * Performs `mounts` on the existing directory `target`, in order, and undoes them when disposed of
 * (a mount still in use then vanishes from the tree and ends with its last user). Mounts with a
 * target of their own are shared with others: they come first, and are not undone. Until the last
 * mount is in its place nobody takes a shared one away.
 *
 * It does what the options say and adds nothing: whoever shows an image to people adds
 * `nosuid,nodev`, because what a hostile image holds must neither raise privileges nor open the
 * host's devices; a container's root file system needs setuid files to work.
 */
export async function performMounts(
  mounts: readonly Mount[],
  target: string,
): Promise<AsyncDisposable & { readonly target: string }> {
  const done: (() => void)[] = [];
  const undo = (): void => {
    for (let last = done.pop(); last !== undefined; last = done.pop()) last();
  };
  const shared = mounts.filter(isShared);
  using _ = await lockShared(shared);
  try {
    for (const mount of shared) await ensureShared(mount, performMount);
    for (const mount of mounts) {
      if (isShared(mount)) continue;
      if (mount.type === 'windows-layer') done.push(mountWindowsLayer(mount, target));
      else {
        if (mount.type === FUSE_OVERLAYFS) await mountFuseOverlayfs(mount, target);
        else await performMount(mount, target);
        done.push(() => unmount(target, { detach: true }));
      }
    }
  } catch (error) {
    undo();
    throw error;
  }
  return {
    target,
    async [Symbol.asyncDispose]() {
      undo();
    },
  };
}

/**
 * Makes sure that a shared mount is there, and keeps it there until it is disposed of: by a descriptor,
 * which the kernel takes back from a process that dies.
 */
export async function holdShared(mount: SharedMount): Promise<Disposable> {
  using _ = await lockShared([mount]);
  await ensureShared(mount, performMount);
  using held = new DisposableStack();
  held.adopt(openat(AT_FDCWD, toBytes(mount.target), O_PATH | O_DIRECTORY), close);
  return held.move();
}

async function performMount(wanted: Mount, target: string): Promise<void> {
  const mount = wanted.type === 'overlay' ? tellingUpper(wanted) : wanted;
  if (mount.type === FUSE_ZFS) return mountByZfs(mount, target, bind);
  if (mount.type === AUFS) return mountAufs(mount, target);
  try {
    if (mount.type === 'bind' || mount.options.some((o) => o === 'bind' || o === 'rbind'))
      bind(mount, target);
    else configure(mount, target);
  } catch (error) {
    if (errnoOf(error) === 'ENOTBLK')
      return mountOverLoops(mount, (loops) => configure(loops, target));
    // Before Linux 5.12 (bind) and 6.8 (`lowerdir+`); the old call also judges what the new one refused.
    if (errnoOf(error) !== 'ENOSYS' && errnoOf(error) !== 'EINVAL') throw error;
    mountByOldCall(mount, target, error);
  }
}

function bind({ source, options }: Mount, target: string): void {
  const recursive = options.includes('rbind');
  const fd = openTree(source, recursive);
  try {
    const { attributes } = attributesOf(options);
    if (attributes !== 0) setAttributes(fd, attributes, recursive);
    attach(fd, target);
  } finally {
    close(fd);
  }
}

function configure({ type, source, options }: Mount, target: string): void {
  const { attributes, rest } = attributesOf(options);
  using short = new ShortPaths();
  using context = new FsContext(type);
  if (source !== '') context.set('source', short.path(source, MAX_VALUE));
  // Of the file system too, not of this mount only: an overlay without `upperdir` is read-only anyway.
  if (options.includes('ro')) context.set('ro');
  for (const [key, value] of splitOptions(rest)) {
    if (key === 'lowerdir' && type === 'overlay')
      for (const path of parseLowerdir(value ?? ''))
        context.set('lowerdir+', short.path(path, MAX_VALUE));
    else if (value !== undefined && value.startsWith('/'))
      context.set(key, pathValue(type, value, short));
    else context.set(key, value);
  }
  const fd = context.mount(attributes);
  try {
    attach(fd, target);
  } finally {
    close(fd);
  }
}

/** Overlayfs takes a backslash in `upperdir` and `workdir`, though not in `lowerdir+`, as an escape. */
function pathValue(type: string, path: string, short: ShortPaths): string {
  const escaped = type === 'overlay' ? path.replaceAll('\\', String.raw`\\`) : path;
  const shortened = short.path(path, MAX_VALUE - (escaped.length - path.length));
  return shortened === path ? escaped : shortened;
}

import { attachLoop } from '../loop.ts';
import type { Mount } from '../mount-data.ts';

/** How EROFS is told to read its files past the page cache; a loop device does so by itself. */
const DIRECT = 'directio';
const DEVICE = 'device=';

/**
 * Performs a mount of files by way of loop devices, where the file system takes block devices only
 * (ENOTBLK: EROFS before Linux 6.12, or of files on tmpfs and overlayfs). The image and its devices
 * must be of one kind. The loop devices end with the mount.
 */
export function mountOverLoops(mount: Mount, perform: (mount: Mount) => void): void {
  using loops = new DisposableStack();
  const deviceOf = (path: string): string => loops.use(attachLoop(path)).path;
  const source = deviceOf(mount.source);
  const options = mount.options
    .filter((option) => option !== DIRECT)
    .map((option) =>
      option.startsWith(DEVICE) ? DEVICE + deviceOf(option.slice(DEVICE.length)) : option,
    );
  perform({ ...mount, source, options });
}

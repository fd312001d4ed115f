import { lowerdirOption, type Mount } from '../../sys/mount-data.ts';
import { FUSE_OVERLAYFS } from '../../sys/mount/fuse-overlayfs.ts';
import type { Driver } from '../driver.ts';
import type { IdMaps } from './options.ts';
import { MAX_LOWERS, type OwnDirectories } from './overlay.ts';
import { unionDriver } from './union.ts';

/**
 * Union of directories by fuse-overlayfs(1), a program that serves each mount: for users whom the
 * kernel lets mount no overlay. Layers have their marks as files, which every file system takes: on
 * an overlay, where such a store often is, nobody can make a device 0:0.
 */
export function fuseOverlayfs(root: string, maps: IdMaps = {}): Driver {
  const mapping = Object.entries(maps).map(([name, ids]) => `${name}=${ids}`);
  return unionDriver(root, {
    name: 'fuse-overlayfs',
    form: 'aufs',
    whiteouts: 'fuse-overlayfs',
    scratch: true,
    stacking: {
      by: 'fuse-overlayfs',
      most: MAX_LOWERS,
      advice: 'use storage driver vfs, or squash the image',
    },
    mount: (own, lowers) => unionOf(own, lowers, mapping),
    // Only the program translates ids.
    alone: mapping.length > 0,
  });
}

function unionOf(
  { kind, fs, work }: OwnDirectories,
  lowers: readonly string[],
  mapping: readonly string[],
): Mount {
  const own = kind === 'active' ? [`upperdir=${fs}`, `workdir=${work}`] : ['ro'];
  // A view's own directory on top is its root. A writable union must have something below, if only itself.
  const isOnTop = (kind === 'view' && lowers.length < MAX_LOWERS) || lowers.length === 0;
  const all = isOnTop ? [fs, ...lowers] : lowers;
  return { type: FUSE_OVERLAYFS, source: fs, options: [...own, ...mapping, lowerdirOption(all)] };
}

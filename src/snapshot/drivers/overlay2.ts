import type { Driver } from '../driver.ts';
import { MAX_LOWERS, overlayOf } from './overlay.ts';
import { unionDriver } from './union.ts';

export interface OverlayOptions {
  /** Marks in `user.` xattrs instead of `trusted.` ones: for user namespaces. */
  readonly userxattr?: boolean;
}

/** Union of directories by the kernel's overlayfs; a snapshot owns only its own changes. */
export const overlay2 = (root: string, { userxattr = false }: OverlayOptions = {}): Driver =>
  unionDriver(root, {
    name: 'overlay2',
    form: userxattr ? 'userxattr' : 'overlay',
    whiteouts: userxattr ? 'userxattr' : 'overlay',
    scratch: true,
    stacking: {
      by: 'overlayfs',
      most: MAX_LOWERS,
      advice: 'use storage driver erofs or vfs, or squash the image',
    },
    mount: (own, lowers) => overlayOf({ ...own, lowers, userxattr }),
  });

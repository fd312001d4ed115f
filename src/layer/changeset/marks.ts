import type { Xattr } from '../../erofs/node.ts';
import { MicaError } from '../../errors.ts';
import { OPAQUE_WHITEOUT, WHITEOUT_PREFIX } from '../../oci/whiteout.ts';
import { shown } from './member-name.ts';

/**
 * What overlayfs, fuse-overlayfs and their kin keep for themselves. In a layer's archive such
 * attributes never take effect: they are left out.
 */
const RESERVED = [
  'trusted.overlay.',
  'user.overlay.',
  'user.fuseoverlayfs.',
  'trusted.fuseoverlayfs.',
  'security.fuseoverlayfs.',
  'user.containers.override_stat',
  'trusted.containers.override_stat',
];

export const isReservedXattr = (name: string): boolean =>
  RESERVED.some((prefix) => name.startsWith(prefix));

/** The two families of overlay's attributes: an overlay reads the second when mounted with `userxattr`. */
export const OVERLAY_XATTRS = ['trusted.overlay.', 'user.overlay.'] as const;

const YES: Uint8Array = Buffer.from('y');
const EMPTY = new Uint8Array();

/**
 * Overlay's attributes of a directory.
 *
 * `opaque` hides what lower layers have in it. An empty `origin` on a directory with whiteouts makes
 * the kernel leave them out when it lists the directory and no other layer has it; otherwise they
 * would show as names that cannot be opened.
 * @see fs/overlayfs/inode.c of Linux 6.12, "Check for non-merge dir that may have whiteouts"
 */
export function directoryMarks(
  family: (typeof OVERLAY_XATTRS)[number],
  marks: { readonly opaque: boolean; readonly whiteouts: boolean },
): Xattr[] {
  const xattrs: Xattr[] = [];
  if (marks.opaque) xattrs.push({ name: `${family}opaque`, value: YES });
  if (marks.whiteouts) xattrs.push({ name: `${family}origin`, value: EMPTY });
  return xattrs;
}

/** What a member's last name means. */
export type Mark =
  | { readonly kind: 'none' }
  /** `.wh.<name>`: deletes `name`. */
  | { readonly kind: 'whiteout'; readonly name: string }
  /** `.wh..wh..opq`: hides everything that lower layers have in the directory. */
  | { readonly kind: 'opaque' }
  /** `.wh..wh.<anything>`: AUFS' own bookkeeping, which is no part of the layer. */
  | { readonly kind: 'aufs' };

const NONE: Mark = { kind: 'none' };
const OPAQUE: Mark = { kind: 'opaque' };
const AUFS: Mark = { kind: 'aufs' };
const AUFS_PREFIX = WHITEOUT_PREFIX + WHITEOUT_PREFIX;

/**
 * @param path - of the member, for the message
 * @throws INVALID_ARGUMENT for `.wh.`, `.wh..` and `.wh...`, which would delete the directory itself or what is above
 */
export function markOf(name: string, path: string): Mark {
  if (!name.startsWith(WHITEOUT_PREFIX)) return NONE;
  if (name === OPAQUE_WHITEOUT) return OPAQUE;
  if (name.startsWith(AUFS_PREFIX)) return AUFS;
  const hidden = name.slice(WHITEOUT_PREFIX.length);
  if (hidden === '' || hidden === '.' || hidden === '..')
    throw new MicaError('INVALID_ARGUMENT', `${shown(path)} is a whiteout of no name`);
  return { kind: 'whiteout', name: hidden };
}

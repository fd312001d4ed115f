import { chmodSync, lchownSync, linkSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { S_IFBLK, S_IFCHR, S_IFIFO } from '../erofs/node.ts';
import { OPAQUE_WHITEOUT, WHITEOUT_PREFIX } from '../oci/whiteout.ts';
import { AT_FDCWD, close, makedev, mknodat, openat, utimensat, O_DIRECTORY } from '../sys/at.ts';
import { setXattr } from '../sys/xattr.ts';
import type { Member, Tree } from './tree.ts';

/**
 * Puts a layer into an empty directory as overlayfs wants it: whiteouts as 0:0 devices, opaque
 * directories marked. Made without the code that unpacks layers, for layers that need no care:
 * parents first, no name twice, names in ASCII. Needs root.
 */
export function materialise(layer: Tree, directory: string): void {
  const fd = openat(AT_FDCWD, directory, O_DIRECTORY);
  try {
    for (const member of layer) create(fd, directory, member);
    // Creating what is inside of a directory changed its time.
    for (const { type, name, mtime, mtimeNs } of layer.toReversed())
      if (type === 'directory') utimensat(fd, name, mtime, mtimeNs);
  } finally {
    close(fd);
  }
}

const YES = Buffer.from('y');
const DEVICES = { char: S_IFCHR, block: S_IFBLK, fifo: S_IFIFO } as const;

function create(fd: number, directory: string, member: Member): void {
  const { name, type, mode, uid, gid } = member;
  const slash = name.lastIndexOf('/') + 1;
  const base = name.slice(slash);
  const path = join(directory, name);
  if (base === OPAQUE_WHITEOUT)
    return setXattr(
      { dirfd: fd, name: name.slice(0, slash) || '.' },
      'trusted.overlay.opaque',
      YES,
    );
  if (base.startsWith(WHITEOUT_PREFIX))
    return mknodat(fd, name.slice(0, slash) + base.slice(WHITEOUT_PREFIX.length), S_IFCHR, 0);
  if (type === 'link') return linkSync(join(directory, member.linkName), path);
  if (type === 'directory') mkdirSync(path, { recursive: true });
  else if (type === 'file') writeFileSync(path, contentOf(member));
  else if (type === 'symlink') symlinkSync(member.linkName, path);
  else mknodat(fd, name, DEVICES[type] | mode, makedev(member.deviceMajor, member.deviceMinor));
  lchownSync(path, uid, gid);
  if (type !== 'symlink') chmodSync(path, mode);
  for (const xattr of member.xattrs ?? []) setXattr({ dirfd: fd, name }, xattr.name, xattr.value);
  utimensat(fd, name, member.mtime, member.mtimeNs);
}

/** The bytes of a file, holes filled with zeros. */
export function contentOf({ content, sparse, size }: Member): Buffer {
  const bytes = Buffer.alloc(size);
  let from = 0;
  for (const { offset, length } of sparse ?? [{ offset: 0, length: size }]) {
    bytes.set(content.subarray(from, from + length), offset);
    from += length;
  }
  return bytes;
}

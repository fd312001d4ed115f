import type { Inode } from '../../erofs/index-file.ts';
import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFMT, S_IFREG } from '../../erofs/node.ts';
import type { FileStat } from '../../sys/stat.ts';
import { inUserNamespace } from '../../sys/userns.ts';
import type { Xattr } from '../../sys/xattr.ts';
import { isReservedXattr } from '../changeset/marks.ts';

/** What this machine's policies give to every file, whatever image it comes from. */
const OF_THE_MACHINE = /^security\.(?:selinux|SMACK64.*|apparmor|evm)$/;
const NAMESPACES = /^(?:user\.|trusted\.|security\.|system\.posix_acl_(?:access|default)$)/;

/**
 * Whether a layer carries an attribute: not what overlay keeps for itself, not the labels of this
 * machine, nor what its file system makes up (`btrfs.compression`, `system.nfs4_acl`, …).
 */
export const isCarried = (name: string): boolean =>
  NAMESPACES.test(name) && !OF_THE_MACHINE.test(name) && !isReservedXattr(name);

/** In a user namespace files cannot have everything that their layer says they have. */
export class Abilities {
  readonly #limited = inUserNamespace();

  /** Whether files here can have the attribute, so that its lack is a change. */
  hasXattr(name: string): boolean {
    return !this.#limited || !/^(?:trusted\.|security\.(?!capability$))/.test(name);
  }

  /** Whether a file of this type can exist here. */
  hasType(file: Moded): boolean {
    return !this.#limited || !isDevice(file);
  }
}

interface Moded {
  /** Type and permission bits. */
  readonly mode: number;
}

export const typeOf = ({ mode }: Moded): number => mode & S_IFMT;
export const isDirectory = (file: Moded): boolean => typeOf(file) === S_IFDIR;
export const isDevice = (file: Moded): boolean =>
  typeOf(file) === S_IFCHR || typeOf(file) === S_IFBLK;

/** Whether a root is as it is when no archive describes it. */
export const isUnsaid = (
  file: Pick<Inode, 'mode' | 'uid' | 'gid' | 'mtime' | 'mtimeNs'>,
  xattrs: readonly Xattr[],
): boolean =>
  file.mode === (S_IFDIR | 0o755) &&
  file.uid === 0 &&
  file.gid === 0 &&
  file.mtime === 0 &&
  file.mtimeNs === 0 &&
  xattrs.length === 0;

/** All that stat(2) tells of a file, times excepted. */
export function sameStat(now: FileStat, before: Inode): boolean {
  return (
    now.mode === before.mode &&
    now.uid === before.uid &&
    now.gid === before.gid &&
    (typeOf(now) !== S_IFREG || now.size === before.size) &&
    (!isDevice(now) || now.rdev === before.rdev)
  );
}

export const sameTime = (now: FileStat, before: Inode): boolean =>
  now.mtime === before.mtime && now.mtimeNs === before.mtimeNs;

/** @param now - sorted by name, as `before` */
export function sameXattrs(now: readonly Xattr[], before: readonly Xattr[]): boolean {
  return (
    now.length === before.length &&
    now.every(
      ({ name, value }, at) =>
        name === before[at]!.name && Buffer.compare(value, before[at]!.value) === 0,
    )
  );
}

import { type Node, S_IFLNK, type Xattr } from '../../erofs/node.ts';
import { MicaError } from '../../errors.ts';
import * as at from '../../sys/at.ts';
import { errnoOf } from '../../sys/errno.ts';
import { fchmod, fchown, futimens } from '../../sys/file.ts';
import {
  isXattrRefusal,
  listXattrs,
  removeXattr,
  setXattr,
  type XattrTarget,
} from '../../sys/xattr.ts';
import { typeOf } from '../changeset/tree.ts';

/** Sets a file's owner, mode, attributes and times as its layer says, in the order that loses nothing. */
export class Attributes {
  readonly #exactModes: boolean;
  readonly #inherits: boolean;
  readonly #uid = process.geteuid?.() ?? 0;
  readonly #gid = process.getegid?.() ?? 0;

  /**
   * @param exactModes - new files have the mode that they were made with: there is no umask
   * @param inherits - new files may get a group or an ACL from the directory that they are made in
   */
  constructor(exactModes: boolean, inherits: boolean) {
    this.#exactModes = exactModes && !inherits;
    this.#inherits = inherits;
  }

  /** Of an open file or directory. @param made - the mode it was made with; `undefined`: it was there */
  ofFile(fd: number, node: Node, made: number | undefined, name: string): void {
    if (made === undefined || this.#needsOwner(node))
      mapped(node, () => fchown(fd, node.uid, node.gid, name));
    // After chown, which takes set-user-id away; made modes never have it.
    if (!this.#exactModes || made !== (node.mode & 0o7777)) fchmod(fd, node.mode & 0o7777, name);
    this.#setXattrs(fd, node);
    futimens(fd, node.mtime, node.mtimeNs, name);
  }

  /** Of what must not be opened: links, devices, fifos. The mode was given when it was made. */
  ofName(dirfd: number, name: string, node: Node): void {
    const needsOwner = this.#needsOwner(node);
    if (needsOwner) mapped(node, () => at.fchownat(dirfd, name, node.uid, node.gid));
    if (typeOf(node) !== S_IFLNK) {
      if (!this.#exactModes || needsOwner) at.fchmodat(dirfd, name, node.mode & 0o7777);
      this.#setXattrs({ dirfd, name }, node);
    } else for (const xattr of node.xattrs ?? []) setOrLeave({ dirfd, name }, xattr);
    at.utimensat(dirfd, name, node.mtime, node.mtimeNs);
  }

  /** Whether a directory made with mode `made` needs nothing more than its times. */
  isComplete(node: Node, made: number | undefined): boolean {
    if (!this.#exactModes || made !== (node.mode & 0o7777)) return false;
    return node.xattrs === undefined && !this.#needsOwner(node);
  }

  #needsOwner({ uid, gid }: Node): boolean {
    return this.#inherits || uid !== this.#uid || gid !== this.#gid;
  }

  #setXattrs(target: XattrTarget, node: Node): void {
    if (this.#inherits) clearXattrs(target, node.xattrs);
    for (const xattr of node.xattrs ?? []) setOrLeave(target, xattr);
  }
}

/** Says what the kernel means when it calls an owner invalid. */
function mapped({ uid, gid }: Node, chown: () => void): void {
  try {
    chown();
  } catch (error) {
    if (!(error instanceof MicaError) || errnoOf(error) !== 'EINVAL') throw error;
    throw new MicaError(
      'INVALID_ARGUMENT',
      `${error.message}: the owner ${uid}:${gid} is none of the ids that this user namespace has; give this user more subordinate ids (usermod --add-subuids, --add-subgids)`,
      { cause: error.cause },
    );
  }
}

/** Removes the attributes of a file, except those of the given names. */
export function clearXattrs(target: XattrTarget, kept: readonly Xattr[] = []): void {
  for (const name of listXattrs(target)) {
    // A security label is the machine's, given to every new file.
    const isKept = name === 'security.selinux' || kept.some((xattr) => xattr.name === name);
    if (!isKept) removeXattr(target, name);
  }
}

/** An attribute that this file system does not have, or this user may not set, stays in the index only. */
export function setOrLeave(target: XattrTarget, { name, value }: Xattr): void {
  try {
    setXattr(target, name, value);
  } catch (error) {
    if (!isXattrRefusal(error)) throw error;
  }
}

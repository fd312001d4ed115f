import { AT_EMPTY_PATH, AT_FDCWD, O_CLOEXEC, close } from '../at.ts';
import { addressOf, cstring, syscall } from '../binding.ts';
import { toBytes } from '../byte-string.ts';
import { kernelError } from '../errno.ts';
import { NR } from '../syscalls.ts';

/**
 * The new mount API: a file system is configured step by step through a descriptor, which also
 * tells in words what went wrong.
 * @see fsopen(2), fsconfig(2), fsmount(2), move_mount(2), open_tree(2), mount_setattr(2)
 */

const CLOEXEC = 1;
const SET_FLAG = 0;
const SET_STRING = 1;
const CMD_CREATE = 6;
const OPEN_TREE_CLONE = 1;
const AT_RECURSIVE = 0x8000;
const MOVE_MOUNT_F_EMPTY_PATH = 4;
/** MOUNT_ATTR__ATIME */
const ATIME = 0x70;

/** A file system being configured. */
export class FsContext implements Disposable {
  readonly #type: string;
  #fd: number;

  /** @throws NOT_IMPLEMENTED when the kernel has no such file system, or no new mount API */
  constructor(type: string) {
    this.#type = type;
    this.#fd = syscall(NR.fsopen, cstring(type), CLOEXEC);
    if (this.#fd < 0) throw kernelError(-this.#fd, 'fsopen', type);
  }

  /** Sets `key`, or the flag `key` when there is no value. At most 255 bytes of value. */
  set(key: string, value?: string): void {
    const at = value === undefined ? 0 : cstring(toBytes(value), 1);
    const command = value === undefined ? SET_FLAG : SET_STRING;
    const result = syscall(NR.fsconfig, this.#fd, command, cstring(key), at, 0);
    if (result < 0) throw this.#failure(-result, value === undefined ? key : `${key}=${value}`);
  }

  /** Makes the file system. @param attributes - `MOUNT_ATTR_…` @returns the descriptor of a mount that is nowhere yet */
  mount(attributes: number): number {
    const created = syscall(NR.fsconfig, this.#fd, CMD_CREATE, 0, 0, 0);
    if (created < 0) throw this.#failure(-created, '');
    const fd = syscall(NR.fsmount, this.#fd, CLOEXEC, attributes);
    if (fd < 0) throw this.#failure(-fd, '');
    return fd;
  }

  [Symbol.dispose](): void {
    if (this.#fd >= 0) close(this.#fd);
    this.#fd = -1;
  }

  #failure(errno: number, subject: string): Error {
    const said = this.#messages();
    return kernelError(errno, `mount ${this.#type}`, said === '' ? toBytes(subject) : said);
  }

  /** What the kernel has to say; one message a read, `e`, `w` or `i` in front. */
  #messages(): string {
    const buffer = Buffer.alloc(1024);
    const lines: string[] = [];
    for (;;) {
      const length = syscall(NR.read, this.#fd, addressOf(buffer), buffer.length);
      if (length <= 0) return lines.join('; ');
      lines.push(
        buffer
          .toString('latin1', 0, length)
          .replace(/^[ewi] /, '')
          .trim(),
      );
    }
  }
}

/** A detached copy of what is mounted at `source` (with what is mounted below it: `recursive`). */
export function openTree(source: string, recursive: boolean): number {
  const flags = OPEN_TREE_CLONE | O_CLOEXEC | (recursive ? AT_RECURSIVE : 0);
  const fd = syscall(NR.open_tree, AT_FDCWD, cstring(toBytes(source)), flags);
  if (fd < 0) throw kernelError(-fd, 'bind', toBytes(source));
  return fd;
}

/** Adds `MOUNT_ATTR_…` attributes to a detached mount. */
export function setAttributes(fd: number, attributes: number, recursive: boolean): void {
  const attr = Buffer.alloc(32);
  attr.writeUInt32LE(attributes);
  // One of several values, of which the present one has to go.
  if ((attributes & ATIME) !== 0) attr.writeUInt32LE(ATIME, 8);
  const flags = AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0);
  const result = syscall(NR.mount_setattr, fd, cstring(''), flags, addressOf(attr), attr.length);
  if (result < 0) throw kernelError(-result, 'mount_setattr', '');
}

/** Puts a detached mount where all can see it. */
export function attach(fd: number, target: string): void {
  const flags = MOVE_MOUNT_F_EMPTY_PATH;
  const at = cstring(toBytes(target), 1);
  const result = syscall(NR.move_mount, fd, cstring(''), AT_FDCWD, at, flags);
  if (result < 0) throw kernelError(-result, 'move_mount', toBytes(target));
}

import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { MicaError } from '../../errors.ts';
import type { Abortable, Bytes } from '../../io/bytes.ts';
import { fromNode } from '../../sys/errno.ts';
import type { FileType } from '../../union/tree.ts';
import { type SourceFile, type SourceTree, toText } from './source-tree.ts';

/** What is read at once, in bytes. */
const CHUNK = 256 * 1024;

/**
 * A directory of this machine as a build context. Owners and extended attributes of its files are
 * this machine's affair: in the image they belong to root and have none. Sockets are left out.
 */
export function directoryTree(root: string, name: string): SourceTree {
  const pathOf = (path: string): Buffer =>
    Buffer.concat([Buffer.from(`${root}/`, 'utf8'), Buffer.from(path, 'latin1')]);
  return {
    name,
    lstat(path) {
      try {
        return sourceFile(pathOf(path));
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
        throw fromNode(error);
      }
    },
    names(path) {
      try {
        const names = readdirSync(pathOf(path), { encoding: 'buffer' });
        return names.map((entry) => entry.toString('latin1')).toSorted();
      } catch (error) {
        throw fromNode(error);
      }
    },
    read: (path, options) => readFile(pathOf(path), toText(path), options),
  };
}

function sourceFile(path: Buffer): SourceFile | undefined {
  const stat = lstatSync(path, { bigint: true });
  const type = typeOf(stat);
  if (type === 'socket') return undefined;
  const seconds = stat.mtimeNs / 1_000_000_000n - (stat.mtimeNs % 1_000_000_000n < 0n ? 1n : 0n);
  const isDevice = type === 'char' || type === 'block';
  const device = Number(stat.rdev);
  return {
    type,
    // Windows knows no permissions; Docker makes everything executable there.
    mode: process.platform === 'win32' ? 0o755 : Number(stat.mode) & 0o7777,
    uid: 0,
    gid: 0,
    size: type === 'file' ? Number(stat.size) : 0,
    mtime: Number(seconds),
    mtimeNs: Number(stat.mtimeNs - seconds * 1_000_000_000n),
    target: type === 'symlink' ? readlinkSync(path, 'buffer').toString('latin1') : '',
    major: isDevice ? (device >> 8) & 0xfff : 0,
    minor: isDevice ? (device & 0xff) | ((device >> 12) & 0xfff00) : 0,
    xattrs: [],
    identity: type === 'file' && stat.nlink > 1n ? `${stat.dev}:${stat.ino}` : undefined,
  };
}

interface Typed {
  isFile(): boolean;
  isDirectory(): boolean;
  isSymbolicLink(): boolean;
  isFIFO(): boolean;
  isCharacterDevice(): boolean;
  isBlockDevice(): boolean;
}

function typeOf(stat: Typed): FileType {
  if (stat.isFile()) return 'file';
  if (stat.isDirectory()) return 'directory';
  if (stat.isSymbolicLink()) return 'symlink';
  if (stat.isFIFO()) return 'fifo';
  if (stat.isCharacterDevice()) return 'char';
  return stat.isBlockDevice() ? 'block' : 'socket';
}

// Windows has neither of these: there they are nothing.
const FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

async function* readFile(path: Buffer, shown: string, { signal }: Abortable = {}): Bytes {
  // Never through a link, and without waiting for whoever opens the other end of a pipe, should
  // the file have become one.
  try {
    const small = readSmall(path, shown);
    if (small !== undefined) {
      yield small;
      return;
    }
    await using file = await open(path, FLAGS);
    if (!(await file.stat()).isFile()) throw notRegular(shown);
    for (;;) {
      signal?.throwIfAborted();
      const { bytesRead, buffer } = await file.read(Buffer.allocUnsafeSlow(CHUNK), 0, CHUNK);
      if (bytesRead === 0) return;
      yield buffer.subarray(0, bytesRead);
    }
  } catch (error) {
    signal?.throwIfAborted();
    throw fromNode(error);
  }
}

/** Most files: handing the four steps of each to other threads takes longer than they do. @returns `undefined` for a larger one */
function readSmall(path: Buffer, shown: string): Buffer | undefined {
  const fd = openSync(path, FLAGS);
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile()) throw notRegular(shown);
    if (stat.size >= CHUNK) return undefined;
    // One byte more, to see that there are none.
    const buffer = Buffer.allocUnsafe(stat.size + 1);
    let size = 0;
    for (let read = -1; read !== 0 && size < buffer.length; size += read)
      read = readSync(fd, buffer, size, buffer.length - size, size);
    return size === buffer.length ? undefined : buffer.subarray(0, size);
  } finally {
    closeSync(fd);
  }
}

const notRegular = (shown: string): MicaError =>
  new MicaError('FAILED_PRECONDITION', `${shown} is not a regular file any more`);

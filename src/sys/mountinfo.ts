import { readFileSync } from 'node:fs';
import { fromNode } from './errno.ts';

/** One mount as this process' mount namespace has it. */
export interface MountInfo {
  readonly id: number;
  readonly parent: number;
  /** `major:minor` of what `stat` tells about files on it. */
  readonly device: string;
  /** Which directory of the file system is mounted. */
  readonly root: string;
  readonly target: string;
  /** Of the mount: `ro`, `nosuid`, … */
  readonly options: readonly string[];
  readonly type: string;
  readonly source: string;
  /** Of the file system: `lowerdir=…`, … */
  readonly superOptions: readonly string[];
}

/** All mounts of a process' namespace, in the order in which they cover each other. Default: this one's. */
export function readMountinfo(pid = 'self'): MountInfo[] {
  try {
    // As bytes: asked for text, Node 24.21 writes beyond its memory when more than 64 KiB come in short
    // pieces and then a long one, as the kernel tells of many mounts.
    return parseMountinfo(readFileSync(`/proc/${pid}/mountinfo`).toString());
  } catch (error) {
    throw fromNode(error);
  }
}

/** @see proc_pid_mountinfo(5) */
export function parseMountinfo(text: string): MountInfo[] {
  const mounts: MountInfo[] = [];
  for (const line of text.split('\n')) {
    const fields = line.split(' ');
    // Zero or more optional fields end with a lone hyphen.
    const hyphen = fields.indexOf('-', 6);
    if (hyphen < 0) continue;
    mounts.push({
      id: Number(fields[0]),
      parent: Number(fields[1]),
      device: fields[2]!,
      root: decode(fields[3]!),
      target: decode(fields[4]!),
      options: fields[5]!.split(','),
      type: fields[hyphen + 1]!,
      source: decode(fields[hyphen + 2] ?? ''),
      superOptions: (fields[hyphen + 3] ?? '').split(',').map(decode),
    });
  }
  return mounts;
}

/** The kernel writes space, tab, newline, backslash and `#` as three octal digits. */
const decode = (field: string): string =>
  field.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 8)));

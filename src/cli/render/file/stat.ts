import type { FileType, TreeStat } from '../../../union/tree.ts';

const TYPE_LETTERS: Readonly<Record<FileType, string>> = {
  file: '-',
  directory: 'd',
  symlink: 'l',
  char: 'c',
  block: 'b',
  fifo: 'p',
  socket: 's',
};

/** `drwxr-sr-t`, as `ls -l` writes it. */
export function modeString({ type, mode }: Pick<TreeStat, 'type' | 'mode'>): string {
  const bits = (shift: number, special: number, letter: string): string => {
    const execute = (mode >> shift) & 1;
    const isSpecial = (mode & special) !== 0;
    const last = isSpecial ? (execute ? letter : letter.toUpperCase()) : execute ? 'x' : '-';
    return `${(mode >> shift) & 4 ? 'r' : '-'}${(mode >> shift) & 2 ? 'w' : '-'}${last}`;
  };
  return `${TYPE_LETTERS[type]}${bits(6, 0o4000, 's')}${bits(3, 0o2000, 's')}${bits(0, 0o1000, 't')}`;
}

/** `0644`, special bits included. */
export const octalMode = ({ mode }: Pick<TreeStat, 'mode'>): string =>
  (mode & 0o7777).toString(8).padStart(4, '0');

/** Files of a layer mostly have one of a few times. */
const times = new Map<number, string>();
const MAX_TIMES = 1000;

/** `2024-02-03 04:05` in UTC, whatever the year. */
export function timeString({ mtime }: Pick<TreeStat, 'mtime'>): string {
  const known = times.get(mtime);
  if (known !== undefined) return known;
  if (times.size >= MAX_TIMES) times.clear();
  const text = spell(mtime);
  times.set(mtime, text);
  return text;
}

function spell(mtime: number): string {
  const time = new Date(mtime * 1000);
  // Beyond what a Date can say, the seconds speak for themselves.
  if (Number.isNaN(time.getTime())) return `@${mtime}`;
  const [day, clock] = time.toISOString().split('T');
  return `${day} ${clock!.slice(0, 5)}`;
}

/** Size in bytes, or the numbers of a device. */
export const sizeString = ({ type, size, major, minor }: TreeStat): string =>
  type === 'char' || type === 'block' ? `${major}, ${minor}` : String(size);

const KINDS: Readonly<Record<FileType, string>> = {
  file: 'file',
  directory: 'directory',
  symlink: 'symbolic link',
  char: 'character device',
  block: 'block device',
  fifo: 'named pipe',
  socket: 'socket',
};

export const kindOf = ({ type }: Pick<TreeStat, 'type'>): string => KINDS[type];

/** A file of an image, for programs. Layers are counted from 1, the base. */
export function statJson(raw: Uint8Array, path: string, stat: TreeStat): object {
  const { type, uid, gid, size, mtime, mtimeNs, nlink, ino, major, minor, target, xattrs } = stat;
  const device = type === 'char' || type === 'block';
  return {
    path,
    ...(Buffer.from(path).equals(raw) ? {} : { rawPath: Buffer.from(raw).toString('base64') }),
    type,
    mode: octalMode(stat),
    uid,
    gid,
    size,
    mtime: `${mtime}.${String(mtimeNs).padStart(9, '0')}`,
    nlink,
    inode: ino,
    ...(device && { major, minor }),
    ...(target !== undefined && { target }),
    ...(xattrs.length > 0 && {
      xattrs: Object.fromEntries(
        xattrs.map(({ name, value }) => [name, Buffer.from(value).toString('base64')]),
      ),
    }),
    layer: stat.layer + 1,
  };
}

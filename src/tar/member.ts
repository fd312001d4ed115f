import type { Entry, EntryType } from './entry.ts';
import { type Header, paddingOf } from './header.ts';
import { bad } from './number.ts';
import { Extended, type PaxSparse, xattrsOf } from './pax.ts';
import { type RawMap, sparseMap } from './sparse.ts';

/** What an archive says of one member, in its header and before it. */
export class Member {
  readonly header: Header;
  readonly #extended: Extended;
  readonly #longName: string;
  readonly #longLink: string;
  readonly type: EntryType;

  /** @param longName - GNU's, '' if there is none */
  constructor(header: Header, extended: Extended | undefined, longName: string, longLink: string) {
    this.header = header;
    this.#extended = extended ?? NOTHING;
    this.#longName = longName;
    this.#longLink = longLink;
    const type = TYPES[header.typeflag]!;
    // V7 has no type for directories.
    this.type = header.typeflag === V7_FILE && this.name.endsWith('/') ? 'directory' : type;
  }

  get name(): string {
    const { sparse, path } = this.#extended;
    return sparse?.name ?? (this.#longName || (path ?? this.header.name));
  }

  /** In bytes, as the archive says. */
  get size(): number {
    return checkedSize(this.#extended.size ?? this.header.size);
  }

  /** Records about a sparse file. Go, too, ignores them when they do not say where data lie. */
  get sparse(): PaxSparse | undefined {
    const { sparse } = this.#extended;
    if (sparse === undefined) return undefined;
    const { version, numbers, size } = sparse;
    return version === '' && numbers.length === 0 && size === undefined ? undefined : sparse;
  }

  /** Of the data that certainly follow. */
  get dataSize(): number {
    return this.type === 'file' || this.header.typeflag === GNU_DIRECTORY ? this.size : 0;
  }

  /** Bytes that follow if this is a link or directory with data, padding included. */
  get doubtful(): number {
    return this.dataSize > 0 ? 0 : this.size + paddingOf(this.size);
  }

  /**
   * @param dataOffset - where the data begin in the archive
   * @param mapSize - bytes of a sparse map that the size counts as data
   */
  entry(dataOffset: number, map: RawMap | undefined, mapSize: number): Entry {
    const { type, header, name } = this;
    const extended = this.#extended;
    const isFile = type === 'file';
    const isLink = type === 'link' || type === 'symlink';
    const dataSize = isFile ? this.size - mapSize : 0;
    const { mtime, windows } = extended;
    const entry = {
      type,
      name,
      linkName: isLink ? this.#longLink || (extended.linkPath ?? header.linkName) : '',
      mode:
        extended.permissions === undefined
          ? header.mode
          : (header.mode & 0o7000) | extended.permissions,
      uid: checkedId(extended.uid ?? header.uid),
      gid: checkedId(extended.gid ?? header.gid),
      size: map?.size ?? dataSize,
      mtime: mtime?.seconds ?? header.mtime,
      mtimeNs: mtime?.nanoseconds ?? 0,
      deviceMajor: extended.deviceMajor ?? header.deviceMajor,
      deviceMinor: extended.deviceMinor ?? header.deviceMinor,
      xattrs: extended.xattrs && xattrsOf(extended),
      dataOffset,
      dataSize,
      sparse: map && sparseMap(map, dataSize),
    };
    return windows === undefined ? entry : { ...entry, windows };
  }
}

const NOTHING = new Extended();
const [V7_FILE, GNU_DIRECTORY] = [0, 0x44];
const MAX_ID = 0xffff_ffff;

/** By type flag; nothing for those that are no file system objects, or none that a layer has. */
const TYPES: readonly (EntryType | undefined)[] = byCode({
  '\0': 'file',
  '0': 'file',
  '1': 'link',
  '2': 'symlink',
  '3': 'char',
  '4': 'block',
  '5': 'directory',
  '6': 'fifo',
  // A file in one piece on the disk.
  '7': 'file',
  // GNU, incremental: a directory; its data are a list of names.
  D: 'directory',
  // GNU: a sparse file.
  S: 'file',
});

export const isMember = ({ typeflag }: Header): boolean => TYPES[typeflag] !== undefined;

export function checkedSize(size: number): number {
  if (size < 0) throw bad('the size', 'is negative');
  return size;
}

function checkedId(id: number): number {
  if (id < 0 || id > MAX_ID)
    throw bad(`the owner ${id}`, 'is no user or group: it has more than 32 bits');
  return id;
}

function byCode(types: Readonly<Record<string, EntryType>>): (EntryType | undefined)[] {
  const result = Array.from({ length: 256 }, (): EntryType | undefined => undefined);
  for (const [flag, type] of Object.entries(types)) result[flag.charCodeAt(0)] = type;
  return result;
}

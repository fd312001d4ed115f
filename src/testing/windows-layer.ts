import { encodeGoMember, type GoTime, goTimeText } from '../windows/go-tar.ts';
import { usersDescriptor } from '../windows/security.ts';
import type { Entry } from '../tar/entry.ts';
import { paddingOf } from '../tar/header.ts';
import { TarReader } from '../tar/read.ts';
import { readTar } from '../tar/read-tar.ts';
import { plainLayer } from '../windows/plain-layer.ts';

/**
 * Layers of Windows images, made up: no machine with Windows was near. They are written as the
 * published code of Windows' own exporter writes them, member by member.
 */
export interface WindowsMember {
  readonly path: string;
  readonly kind?: 'file' | 'directory' | 'symlink' | 'link' | 'tombstone';
  readonly content?: string | Buffer;
  /** Of a link, with backslashes if it is a symbolic one. */
  readonly target?: string;
  /** It is a junction. */
  readonly mountPoint?: boolean;
  /** Beside those that its kind has. */
  readonly attributes?: number;
  readonly security?: Buffer;
  /** By name, in base64. */
  readonly extended?: Readonly<Record<string, Buffer>>;
  /** Alternate data streams, by name. */
  readonly streams?: Readonly<Record<string, string>>;
  readonly mtime?: GoTime;
}

const MTIME: GoTime = { seconds: 1_556_668_800, nanoseconds: 123_456_700 };
const ZERO: GoTime = { seconds: 0, nanoseconds: 0 };
const [S_IFDIR, S_IFREG, S_IFLNK] = [0o040000, 0o100000, 0o120000];

/** The archive, members in the given order; `Files` and `Hives` come first by themselves. */
export function windowsTar(
  members: readonly WindowsMember[],
  { areas = ['Files', 'Hives'] }: { readonly areas?: readonly string[] } = {},
): Buffer {
  const all = [...areas.map((path): WindowsMember => ({ path, kind: 'directory' })), ...members];
  return Buffer.concat([...all.flatMap(blocksOf), Buffer.alloc(1024)]);
}

/** The layer of an image for Windows that has the files of another archive in `Files`. */
export async function windowsLayerOf(tar: Uint8Array): Promise<Buffer> {
  const directories = new Set<string>();
  const isDirectory = ({ name, type }: Entry): void => {
    if (type === 'directory') directories.add(name.replace(/\/$/, ''));
  };
  new TarReader({ entry: isDirectory, data() {}, end() {} }).write(tar);
  const members = readTar(new Blob([Buffer.from(tar)]).stream());
  return Buffer.concat(await Array.fromAsync(plainLayer(members, directories)));
}

function blocksOf(member: WindowsMember): Buffer[] {
  const { path, kind = 'file', mtime = MTIME, streams = {} } = member;
  const name = bytes(path);
  if (kind === 'tombstone') {
    const at = name.lastIndexOf('/') + 1;
    return [
      encodeGoMember({
        name: `${name.slice(0, at)}.wh.${name.slice(at)}`,
        type: 'file',
        mode: 0,
        size: 0,
        mtime: ZERO,
        records: new Map(),
      }),
    ];
  }
  if (kind === 'link')
    return [
      encodeGoMember({
        name,
        type: 'link',
        mode: 0,
        size: 0,
        linkName: bytes(member.target ?? ''),
        mtime,
        records: new Map(),
      }),
    ];
  const content = kind === 'file' ? Buffer.from(member.content ?? '') : Buffer.alloc(0);
  const type = kind;
  const isDirectory = kind === 'directory' || ((member.attributes ?? 0) & 0x10) !== 0;
  const mode =
    (isDirectory ? S_IFDIR : 0) | { file: S_IFREG, directory: 0, symlink: S_IFLNK }[kind];
  const linkName = member.target === undefined ? undefined : bytes(member.target);
  const main = {
    name,
    type,
    mode,
    size: content.length,
    linkName,
    mtime,
    records: records(member),
  };
  return [
    encodeGoMember(main),
    ...padded(content),
    ...Object.entries(streams).flatMap(([stream, text]) => {
      const data = Buffer.from(text);
      const times = new Map([...main.records].filter(([key]) => /^[ac]time$/.test(key)));
      const header = {
        ...main,
        name: `${name}:${bytes(stream)}`,
        type: 'file',
        size: data.length,
      } as const;
      return [encodeGoMember({ ...header, linkName: undefined, records: times }), ...padded(data)];
    }),
  ];
}

function records(member: WindowsMember): Map<string, string> {
  const { kind = 'file', mtime = MTIME, extended = {} } = member;
  const time = goTimeText(mtime);
  const attributes =
    (member.attributes ?? 0) |
    (kind === 'directory' ? 0x10 : 0) |
    (kind === 'symlink' ? 0x400 : 0) |
    (kind === 'file' ? 0x20 : 0);
  return new Map([
    ['MSWINDOWS.fileattr', String(attributes >>> 0)],
    ['MSWINDOWS.rawsd', (member.security ?? usersDescriptor()).toString('base64')],
    ['LIBARCHIVE.creationtime', time],
    ['atime', time],
    ['ctime', time],
    ...(member.mountPoint ? ([['MSWINDOWS.mountpoint', '1']] as const) : []),
    ...Object.entries(extended).map(
      ([name, value]) => [`MSWINDOWS.xattr.${name}`, value.toString('base64')] as const,
    ),
  ]);
}

const padded = (data: Buffer): Buffer[] => [data, Buffer.alloc(paddingOf(data.length))];
const bytes = (text: string): string => Buffer.from(text).toString('latin1');

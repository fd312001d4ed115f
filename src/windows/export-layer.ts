import { type BigIntStats, lstatSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { MicaError } from '../errors.ts';
import type { Abortable, Bytes } from '../io/bytes.ts';
import { errnoOf, fromNode } from '../sys/errno.ts';
import { paddingOf } from '../tar/header.ts';
import { type BackupStream, STREAM } from './backup-stream.ts';
import { decodeAttributes } from './extended-attributes.ts';
import { ATTRIBUTE } from './file-facts.ts';
import { encodeGoMember, type GoMember, type GoTime, goTimeText } from './go-tar.ts';
import { LayerFile, type StreamContent } from './layer-file.ts';
import { placeOf, TOMBSTONES, TOMBSTONES_HEADER } from './layer-files.ts';
import { DIRECTORY_SUFFIX, parseWindowsName } from './names.ts';
import { decodeReparsePoint } from './reparse-point.ts';

const [S_IFDIR, S_IFREG, S_IFLNK] = [0o040000, 0o100000, 0o120000];
const CHUNK = 256 * 1024;

/**
 * The archive of a directory in the transport format, as Windows gives it: member by member and
 * byte for byte what its own exporter makes of it. Times that the file system does not know are
 * those of the last change.
 *
 * For a directory that {@link LayerWriter} made, `layerTar` gives the very archive it came from.
 * @throws INVALID_ARGUMENT for a directory that is none
 */
export async function* exportLayer(directory: string, { signal }: Abortable = {}): Bytes {
  const tombstones = readTombstones(directory);
  for (const path of walk(directory, rootsOf(directory))) {
    signal?.throwIfAborted();
    // What is on this machine's disk may be anything.
    parseWindowsName(path);
    yield* path.startsWith('Files/') ? memberOf(directory, path) : plainMember(directory, path);
    for (const gone of tombstones.get(path) ?? []) yield whiteout(gone);
  }
  yield Buffer.alloc(1024);
}

/** Whether it is a directory in the transport format. */
export function isTransport(directory: string): boolean {
  try {
    return (
      lstatSync(join(directory, TOMBSTONES)).isFile() &&
      lstatSync(join(directory, 'Files')).isDirectory()
    );
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw fromNode(error);
  }
}

function rootsOf(directory: string): string[] {
  const names = namesIn(directory, '');
  if (names.includes('UtilityVM'))
    throw new MicaError(
      'NOT_IMPLEMENTED',
      `${directory} has a UtilityVM, whose files keep their attributes on NTFS alone: export the layer on Windows`,
    );
  return names.filter((name) => name === 'Files' || name === 'Hives');
}

/** In byte order, what is in a directory right behind it. Attributes' files are part of their directories. */
function* walk(directory: string, roots: readonly string[]): Generator<string> {
  for (const path of roots) {
    yield path;
    if (lstat(directory, path).isDirectory())
      yield* walk(
        directory,
        namesIn(directory, path).map((name) => `${path}/${name}`),
      );
  }
}

function namesIn(directory: string, path: string): string[] {
  try {
    return readdirSync(placeOf(directory, path), { encoding: 'buffer' })
      .map((name) => name.toString('latin1'))
      .filter((name) => !name.endsWith(DIRECTORY_SUFFIX))
      .toSorted();
  } catch (error) {
    throw fromNode(error);
  }
}

function lstat(directory: string, path: string): BigIntStats {
  try {
    return lstatSync(placeOf(directory, path), { bigint: true });
  } catch (error) {
    throw fromNode(error);
  }
}

/** By the directory that they are in. */
function readTombstones(directory: string): Map<string, string[]> {
  let text: string;
  try {
    text = readFileSync(join(directory, TOMBSTONES), 'utf8');
  } catch (error) {
    throw fromNode(error);
  }
  const [first, ...lines] = text.split(/\r?\n/);
  if (first !== TOMBSTONES_HEADER)
    throw new MicaError(
      'INVALID_ARGUMENT',
      `${directory}: its tombstones.txt is of another version`,
    );
  const paths = lines
    .filter((line) => line !== '')
    .map((line) => bytesOf(`Files/${line.slice(1).replaceAll('\\', '/')}`));
  return Map.groupBy(paths, (path) => path.slice(0, path.lastIndexOf('/')));
}

function* memberOf(directory: string, path: string): Generator<Buffer> {
  const stat = lstat(directory, path);
  const isDirectory = stat.isDirectory();
  using file = new LayerFile(directory, isDirectory ? path + DIRECTORY_SUFFIX : path);
  const times = timesOf(isDirectory ? lstat(directory, path + DIRECTORY_SUFFIX) : stat);
  const records = recordsOf(file.attributes, times);
  const found = streamsOf(file, records);
  const content = isDirectory || found.target !== undefined ? NOTHING : file.content(undefined);
  const type = found.target !== undefined ? 'symlink' : isDirectory ? 'directory' : 'file';
  const kind = found.target !== undefined ? S_IFLNK : found.hasData ? S_IFREG : 0;
  const mode = (isDirectoryBit(file.attributes) ? S_IFDIR : 0) | kind;
  const main = {
    name: path,
    type,
    mode,
    size: content.size,
    mtime: times.written,
    records,
  } as const;
  yield encodeGoMember({ ...main, linkName: found.target });
  yield* contentOf(file, content);
  for (const stream of found.alternates) yield* alternate(file, main, stream);
}

const isDirectoryBit = (attributes: number): boolean => (attributes & ATTRIBUTE.directory) !== 0;

/** Of `Files`, `Hives` and what is in `Hives`: the file itself. */
function* plainMember(directory: string, path: string): Generator<Buffer> {
  const stat = lstat(directory, path);
  const isDirectory = stat.isDirectory();
  const { written } = timesOf(isDirectory ? hiveStat(directory, stat) : stat);
  const times = { written, created: written, accessed: written, changed: written };
  const attributes = isDirectory ? ATTRIBUTE.directory : ATTRIBUTE.archive;
  const records = recordsOf(attributes, times);
  const mode = isDirectory ? S_IFDIR : S_IFREG;
  const size = isDirectory ? 0 : Number(stat.size);
  const type = isDirectory ? 'directory' : 'file';
  yield encodeGoMember({ name: path, type, mode, size, mtime: written, records });
  if (isDirectory) return;
  using file = new LayerFile(directory, path);
  yield* contentOf(file, file.content(undefined));
}

/** The directories' own times are those of the export. */
function hiveStat(directory: string, stat: BigIntStats): BigIntStats {
  try {
    return lstatSync(join(directory, 'Hives', 'System_Delta'), { bigint: true });
  } catch {
    return stat;
  }
}

interface Found {
  readonly target: string | undefined;
  readonly hasData: boolean;
  readonly alternates: readonly BackupStream[];
}

/** Adds what belongs into the header to `records`. */
function streamsOf(file: LayerFile, records: Map<string, string>): Found {
  let target: string | undefined;
  let hasData = false;
  const alternates: BackupStream[] = [];
  const read = ({ start, size }: BackupStream): Buffer => {
    if (size > 2 ** 20)
      throw new MicaError('RESOURCE_EXHAUSTED', 'a stream with attributes is too long');
    const bytes = Buffer.alloc(size);
    file.read(bytes, start);
    return bytes;
  };
  for (const stream of file.streams()) {
    if (stream.id === STREAM.security)
      records.set('MSWINDOWS.rawsd', read(stream).toString('base64'));
    else if (stream.id === STREAM.extendedAttributes)
      for (const { name, value } of decodeAttributes(read(stream)))
        records.set(`MSWINDOWS.xattr.${name}`, value.toString('base64'));
    else if (stream.id === STREAM.reparse) {
      const point = decodeReparsePoint(read(stream));
      target = bytesOf(point.target);
      if (point.isMountPoint) records.set('MSWINDOWS.mountpoint', '1');
    } else if (stream.id === STREAM.alternate) alternates.push(stream);
    else hasData ||= stream.id === STREAM.data;
  }
  return { target, hasData, alternates };
}

function* alternate(file: LayerFile, main: GoMember, stream: BackupStream): Generator<Buffer> {
  const name = bytesOf(stream.name.replace(/:\$DATA$/, ''));
  const records = new Map([...main.records].filter(([key]) => key === 'atime' || key === 'ctime'));
  const content = file.content(name.slice(1));
  const { size } = content;
  const { mode, mtime } = main;
  yield encodeGoMember({ name: main.name + name, type: 'file', mode, size, mtime, records });
  yield* contentOf(file, content);
}

function* contentOf(file: LayerFile, { size, extents }: StreamContent): Generator<Buffer> {
  let at = 0;
  for (const { logical, physical, length } of extents) {
    yield* zeros(logical - at);
    for (at = logical; at < logical + length;) {
      const buffer = Buffer.allocUnsafeSlow(Math.min(CHUNK, logical + length - at));
      file.read(buffer, physical + at - logical);
      at += buffer.length;
      yield buffer;
    }
  }
  yield* zeros(size - at);
  yield Buffer.alloc(paddingOf(size));
}

function* zeros(count: number): Generator<Buffer> {
  for (let left = count; left > 0; left -= CHUNK) yield Buffer.alloc(Math.min(CHUNK, left));
}

function whiteout(path: string): Buffer {
  parseWindowsName(path);
  const at = path.lastIndexOf('/') + 1;
  const name = `${path.slice(0, at)}.wh.${path.slice(at)}`;
  const mtime = { seconds: 0, nanoseconds: 0 };
  return encodeGoMember({ name, type: 'file', mode: 0, size: 0, mtime, records: new Map() });
}

interface Times {
  readonly written: GoTime;
  readonly created: GoTime;
  readonly accessed: GoTime;
  readonly changed: GoTime;
}

/** Windows knows all of a file's times and lets them be set; elsewhere only one was kept. */
function timesOf(stat: BigIntStats): Times {
  const written = timeOf(stat.mtimeNs);
  if (process.platform !== 'win32')
    return { written, created: written, accessed: written, changed: written };
  const { birthtimeNs, atimeNs, ctimeNs } = stat;
  return {
    written,
    created: timeOf(birthtimeNs),
    accessed: timeOf(atimeNs),
    changed: timeOf(ctimeNs),
  };
}

/** In steps of 100 nanoseconds, as Windows counts. */
function timeOf(nanoseconds: bigint): GoTime {
  const ticks = nanoseconds / 100n - (nanoseconds % 100n < 0n ? 1n : 0n);
  const rest = ((ticks % 10_000_000n) + 10_000_000n) % 10_000_000n;
  return { seconds: Number((ticks - rest) / 10_000_000n), nanoseconds: Number(rest) * 100 };
}

const recordsOf = (attributes: number, times: Times): Map<string, string> =>
  new Map([
    ['MSWINDOWS.fileattr', String(attributes)],
    ['LIBARCHIVE.creationtime', goTimeText(times.created)],
    ['atime', goTimeText(times.accessed)],
    ['ctime', goTimeText(times.changed)],
  ]);

const NOTHING: StreamContent = { size: 0, extents: [] };
const bytesOf = (text: string): string => Buffer.from(text).toString('latin1');

import type { Bytes } from '../io/bytes.ts';
import type { Entry } from './entry.ts';
import { BLOCK, paddingOf, sumOf } from './header.ts';
import { bad, writeOctal } from './number.ts';

/** A member to write; its data come separately. */
export type NewEntry = Omit<Entry, 'dataOffset' | 'dataSize'>;

const TYPEFLAGS: Readonly<Record<Entry['type'], string>> = {
  file: '0',
  link: '1',
  symlink: '2',
  char: '3',
  block: '4',
  directory: '5',
  fifo: '6',
};

/**
 * Writes an archive: ustar where it suffices, a pax extended header where it does not.
 * Deterministic: the same entries give the same bytes; nothing of this machine or moment is in it.
 */
export class TarWriter {
  readonly #sink: (chunk: Uint8Array) => void;
  #remaining = 0;
  #padding = 0;

  /** @param sink - gets buffers that are its own to keep */
  constructor(sink: (chunk: Uint8Array) => void) {
    this.#sink = sink;
  }

  /**
   * Begins a member. Of a sparse file, the data of its runs follow, joined; GNU tar reads only runs
   * of whole blocks (the last one excepted) the same.
   */
  entry(entry: NewEntry): void {
    if (this.#remaining > 0) throw bad('a member', `lacks ${this.#remaining} bytes of data`);
    const runs = entry.sparse;
    const map = runs && sparseMapBytes(runs, entry.size);
    const stored = runs ? runs.reduce((sum, { length }) => sum + length, 0) : entry.size;
    this.#remaining = entry.type === 'file' ? stored : 0;
    this.#padding = paddingOf(this.#remaining);
    const size = this.#remaining + (map?.length ?? 0);
    const name =
      entry.type === 'directory' && !entry.name.endsWith('/') ? `${entry.name}/` : entry.name;
    const { block, records } = describe(entry, map ? sparseName(name) : name, size);
    if (map) {
      records.set('GNU.sparse.major', '1').set('GNU.sparse.minor', '0');
      records.set('GNU.sparse.name', name).set('GNU.sparse.realsize', String(entry.size));
    }
    if (records.size > 0) this.#extended(records, name);
    this.#sink(block);
    if (map) this.#sink(map);
  }

  /** The next bytes of the member's data. */
  data(chunk: Uint8Array): void {
    if (chunk.length > this.#remaining) throw bad('a member', 'has more data than its size says');
    if (chunk.length === 0) return;
    this.#remaining -= chunk.length;
    this.#sink(chunk);
    if (this.#remaining === 0 && this.#padding > 0) this.#sink(new Uint8Array(this.#padding));
  }

  /** Ends the archive. */
  finish(): void {
    if (this.#remaining > 0) throw bad('a member', `lacks ${this.#remaining} bytes of data`);
    this.#sink(new Uint8Array(2 * BLOCK));
  }

  #extended(records: ReadonlyMap<string, string>, name: string): void {
    const sorted = [...records].toSorted(([a], [b]) => (a < b ? -1 : 1));
    const body = Buffer.concat(sorted.map(([key, value]) => record(key, value)));
    const short = name.replace(/\/+$/, '').slice(name.replace(/\/+$/, '').lastIndexOf('/') + 1);
    const block = Buffer.alloc(BLOCK);
    block.write(`PaxHeaders/${short}`.slice(0, 99), 0, 'latin1');
    fill(block, { mode: 0o644, uid: 0, gid: 0, size: body.length, mtime: 0 }, 'x');
    this.#sink(block);
    this.#sink(body);
    if (paddingOf(body.length) > 0) this.#sink(new Uint8Array(paddingOf(body.length)));
  }
}

/** The archive of `entries`, in their order. */
export async function* writeTar(
  entries:
    | Iterable<NewEntry & { readonly content: Uint8Array }>
    | AsyncIterable<NewEntry & { readonly content: Uint8Array }>,
): Bytes {
  const ready: Uint8Array[] = [];
  const writer = new TarWriter((chunk) => ready.push(chunk));
  for await (const entry of entries) {
    writer.entry(entry);
    writer.data(entry.content);
    yield* ready.splice(0);
  }
  writer.finish();
  yield* ready;
}

interface Numbers {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtime: number;
}

/** The header of a member, and what of it needs an extended header. */
function describe(
  entry: NewEntry,
  name: string,
  size: number,
): { block: Buffer; records: Map<string, string> } {
  const block = Buffer.alloc(BLOCK);
  const records = new Map<string, string>();
  if (!writeName(block, name)) records.set('path', name);
  if (entry.linkName.length > 100) records.set('linkpath', entry.linkName);
  block.write(entry.linkName.slice(0, 100), 157, 'latin1');
  const { mode, uid, gid, mtime, mtimeNs } = entry;
  if (uid >= 8 ** 7) records.set('uid', String(uid));
  if (gid >= 8 ** 7) records.set('gid', String(gid));
  if (size >= 8 ** 11) records.set('size', String(size));
  if (mtimeNs !== 0 || mtime < 0 || mtime >= 8 ** 11)
    records.set('mtime', timeText(mtime, mtimeNs));
  for (const { name: xattr, value } of entry.xattrs ?? [])
    records.set(`SCHILY.xattr.${xattr}`, Buffer.from(value).toString('latin1'));
  fill(block, { mode, uid, gid, size, mtime }, TYPEFLAGS[entry.type], entry);
  return { block, records };
}

/** Everything but the names; what does not fit stays 0 and is said by an extended header. */
function fill(
  block: Buffer,
  numbers: Numbers,
  typeflag: string,
  device?: Pick<Entry, 'deviceMajor' | 'deviceMinor'>,
): void {
  writeOctal(block, 100, 8, numbers.mode & 0o7777);
  for (const [offset, length, value] of [
    [108, 8, numbers.uid],
    [116, 8, numbers.gid],
    [124, 12, numbers.size],
    [136, 12, numbers.mtime],
  ] as const)
    if (!writeOctal(block, offset, length, value)) writeOctal(block, offset, length, 0);
  block.write(typeflag, 156, 'latin1');
  block.write('ustar\u000000', 257, 'latin1');
  if (
    !writeOctal(block, 329, 8, device?.deviceMajor ?? 0) ||
    !writeOctal(block, 337, 8, device?.deviceMinor ?? 0)
  )
    throw bad('a device number', 'is too large');
  block.write(`${sumOf(block, 0).toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
}

/** In 100 bytes, or split at a slash into 155 and 100. */
function writeName(block: Buffer, name: string): boolean {
  if (name.length <= 100) {
    block.write(name, 0, 'latin1');
    return true;
  }
  const slash = name.lastIndexOf('/', 155);
  if (slash > 0 && name.length - slash - 1 <= 100 && name.length - slash - 1 > 0) {
    block.write(name.slice(slash + 1), 0, 'latin1');
    block.write(name.slice(0, slash), 345, 'latin1');
    return true;
  }
  block.write(name.slice(0, 100), 0, 'latin1');
  return false;
}

/** `<length> <key>=<value>\n`, where the length counts its own digits. */
function record(key: string, value: string): Buffer {
  const rest = ` ${key}=${value}\n`;
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length)
    length = String(length).length + rest.length;
  return Buffer.from(`${length}${rest}`, 'latin1');
}

function timeText(seconds: number, nanoseconds: number): string {
  if (nanoseconds === 0) return String(seconds);
  const [whole, fraction] =
    seconds < 0 ? [-seconds - 1, 1_000_000_000 - nanoseconds] : [seconds, nanoseconds];
  const digits = String(fraction).padStart(9, '0').replace(/0+$/, '');
  return `${seconds < 0 ? '-' : ''}${whole}.${digits}`;
}

/** An empty run marks the end of the file, as GNU tar has it. */
function sparseMapBytes(runs: NonNullable<Entry['sparse']>, size: number): Buffer {
  const all = [...runs, { offset: size, length: 0 }];
  const lines = [all.length, ...all.flatMap(({ offset, length }) => [offset, length])];
  const text = `${lines.join('\n')}\n`;
  const map = Buffer.alloc(text.length + paddingOf(text.length));
  map.write(text, 'latin1');
  return map;
}

/** As GNU tar names it for readers that do not know sparse files. */
function sparseName(name: string): string {
  const slash = name.lastIndexOf('/');
  return `${slash < 0 ? '.' : name.slice(0, slash)}/GNUSparseFile.0/${name.slice(slash + 1)}`;
}

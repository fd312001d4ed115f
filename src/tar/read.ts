import { MicaError } from '../errors.ts';
import type { Entry, EntryHandler, EntryType } from './entry.ts';
import { BLOCK, type Header, isZeroBlock, paddingOf, parseHeader, text } from './header.ts';
import { bad } from './number.ts';
import { type Extended, parseExtended, xattrsOf } from './pax.ts';
import { GnuMap, MapBeforeData, sparseMap } from './sparse.ts';

export interface TarLimits {
  /** Bytes of one extended header or long name. Default 1 MiB, as in Go's archive/tar. */
  readonly extended?: number;
}

const EXTENDED = 2 ** 20;
const MAX_ID = 0xffff_ffff;

/** What comes next in the archive. */
type State = 'header' | 'meta' | 'gnu-map' | 'pax-map' | 'data' | 'padding' | 'over';

interface Pending {
  readonly header: Header;
  readonly extended: Extended;
  readonly gnu?: GnuMap;
  readonly map?: MapBeforeData;
}

const TYPES: Readonly<Record<string, EntryType>> = {
  '\0': 'file',
  '0': 'file',
  '1': 'link',
  '2': 'symlink',
  '3': 'char',
  '4': 'block',
  '5': 'directory',
  '6': 'fifo',
  '7': 'file',
  D: 'directory',
  S: 'file',
};

/**
 * Reads an archive as it arrives: ustar, GNU and pax, V7 and star where they differ little.
 *
 * What it accepts is what Go's archive/tar accepts, because every engine that made or will read the
 * layer is built on that: links, devices, directories and fifos have no data whatever their size
 * says, global pax headers change nothing, one zero block must be followed by another.
 *
 * @throws INVALID_ARGUMENT for what is no archive, DATA_LOSS for one that ends too early,
 * NOT_IMPLEMENTED for members no layer has (several volumes, unknown types)
 */
export class TarReader {
  readonly #handler: EntryHandler;
  readonly #limit: number;
  readonly #partial: Buffer = Buffer.alloc(BLOCK);
  #filled = 0;
  #state: State = 'header';
  /** Bytes of the archive that have been looked at. */
  #position = 0;
  /** Bytes until the state ends. */
  #remaining = 0;
  #padding = 0;
  #meta: Buffer = Buffer.alloc(0);
  #metaType = '';
  #metaFilled = 0;
  #extended: Extended | undefined = undefined;
  #longName: string | undefined = undefined;
  #longLink: string | undefined = undefined;
  /** A sparse file whose map is not complete yet. */
  #pending: Pending | undefined = undefined;
  #zeroBlocks = 0;
  #inEntry = false;

  constructor(handler: EntryHandler, limits: TarLimits = {}) {
    this.#handler = handler;
    this.#limit = limits.extended ?? EXTENDED;
  }

  /** Takes the next bytes, any number of them. The buffer is not kept. */
  write(chunk: Uint8Array): void {
    const bytes = Buffer.isBuffer(chunk)
      ? chunk
      : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    let at = 0;
    while (at < bytes.length && this.#state !== 'over') {
      if (this.#state === 'data') at = this.#takeData(bytes, at);
      else if (this.#state === 'padding') at = this.#takePadding(bytes, at);
      else if (this.#state === 'meta') at = this.#takeMeta(bytes, at);
      else at = this.#takeBlock(bytes, at);
    }
  }

  /** The archive is over. */
  end(): void {
    const clean =
      this.#state === 'over' ||
      // Padding of the last member and the end marker are left out by some writers.
      ((this.#state === 'header' || this.#state === 'padding') &&
        this.#filled === 0 &&
        this.#extended === undefined &&
        this.#longName === undefined &&
        this.#longLink === undefined);
    if (!clean)
      throw new MicaError(
        'DATA_LOSS',
        `tar: the archive ends in the middle of a member, after ${this.#position} bytes`,
      );
    this.#state = 'over';
  }

  #takeData(bytes: Buffer, at: number): number {
    const count = Math.min(this.#remaining, bytes.length - at);
    this.#advance(count);
    if (this.#inEntry)
      this.#handler.data(
        at === 0 && count === bytes.length ? bytes : bytes.subarray(at, at + count),
      );
    if (this.#remaining === 0) this.#endData();
    return at + count;
  }

  #endData(): void {
    this.#state = this.#padding > 0 ? 'padding' : 'header';
    this.#remaining = this.#padding;
    if (!this.#inEntry) return;
    this.#inEntry = false;
    this.#handler.end();
  }

  #takePadding(bytes: Buffer, at: number): number {
    const count = Math.min(this.#remaining, bytes.length - at);
    this.#advance(count);
    if (this.#remaining === 0) this.#state = 'header';
    return at + count;
  }

  #takeMeta(bytes: Buffer, at: number): number {
    const count = Math.min(this.#remaining, bytes.length - at);
    bytes.copy(this.#meta, this.#metaFilled, at, at + count);
    this.#metaFilled += count;
    this.#advance(count);
    if (this.#remaining === 0) this.#endMeta();
    return at + count;
  }

  #advance(count: number): void {
    this.#position += count;
    this.#remaining -= count;
  }

  /** Collects a whole block, without copying where the chunk has one. */
  #takeBlock(bytes: Buffer, at: number): number {
    if (this.#filled === 0 && bytes.length - at >= BLOCK) {
      this.#position += BLOCK;
      this.#block(bytes, at);
      return at + BLOCK;
    }
    const count = Math.min(BLOCK - this.#filled, bytes.length - at);
    bytes.copy(this.#partial, this.#filled, at, at + count);
    this.#filled += count;
    this.#position += count;
    if (this.#filled === BLOCK) {
      this.#filled = 0;
      this.#block(this.#partial, 0);
    }
    return at + count;
  }

  #block(block: Buffer, offset: number): void {
    if (this.#state === 'gnu-map') this.#gnuMapBlock(block, offset);
    else if (this.#state === 'pax-map') this.#paxMapBlock(block, offset);
    else if (block[offset] === 0 && isZeroBlock(block, offset)) {
      if (++this.#zeroBlocks === 2) this.#state = 'over';
    } else {
      if (this.#zeroBlocks > 0) throw bad('a single zero block', 'is followed by something else');
      this.#header(block, offset);
    }
  }

  #header(block: Buffer, offset: number): void {
    const header = parseHeader(block, offset);
    const type = String.fromCharCode(header.typeflag);
    if (type === 'x' || type === 'X' || type === 'L' || type === 'K')
      this.#startMeta(type, header.size);
    else if (type === 'g' || type === 'V' || type === 'A') this.#skip(header.size);
    else if (type in TYPES) this.#startEntry(header, block, offset);
    else
      throw new MicaError(
        'NOT_IMPLEMENTED',
        `tar: the member ${JSON.stringify(header.name)} has the type ${JSON.stringify(type)}, which no layer has`,
      );
  }

  #skip(size: number): void {
    if (size < 0) throw bad('the size', 'is negative');
    this.#expectData(size);
    this.#inEntry = false;
  }

  #startMeta(type: string, size: number): void {
    if (size < 0 || size > this.#limit)
      throw new MicaError(
        'RESOURCE_EXHAUSTED',
        `tar: an extended header of ${size} bytes is longer than ${this.#limit}`,
      );
    this.#metaType = type;
    this.#metaFilled = 0;
    this.#meta = Buffer.allocUnsafe(size);
    this.#remaining = size;
    this.#padding = paddingOf(size);
    this.#state = 'meta';
    if (size === 0) this.#endMeta();
  }

  #endMeta(): void {
    const body = this.#meta;
    if (this.#metaType === 'L') this.#longName = text(body, 0, body.length);
    else if (this.#metaType === 'K') this.#longLink = text(body, 0, body.length);
    else this.#extended = parseExtended(body);
    this.#meta = Buffer.alloc(0);
    this.#state = this.#padding > 0 ? 'padding' : 'header';
    this.#remaining = this.#padding;
  }

  #startEntry(header: Header, block: Buffer, offset: number): void {
    const extended = this.#extended ?? {};
    this.#extended = undefined;
    if (header.typeflag === 0x53) {
      if (!header.isGnu)
        throw new MicaError(
          'NOT_IMPLEMENTED',
          'tar: a sparse file in the format of star is not read',
        );
      const gnu = new GnuMap(block, offset);
      this.#pending = { header, extended, gnu };
      if (gnu.more) this.#state = 'gnu-map';
      else
        this.#emit(header, extended, sizeOf(header, extended), {
          numbers: gnu.numbers,
          size: gnu.size,
        });
    } else if (extended.sparse && extended.sparse.major >= 1) {
      this.#pending = { header, extended, map: new MapBeforeData() };
      this.#state = 'pax-map';
    } else if (
      extended.sparse &&
      (extended.sparse.map.length > 0 || extended.sparse.size !== undefined)
    ) {
      const { map, size } = extended.sparse;
      if (size === undefined) throw bad('a sparse file', 'has no size');
      this.#emit(header, extended, sizeOf(header, extended), { numbers: map, size });
    } else this.#emit(header, extended, sizeOf(header, extended), undefined);
  }

  #gnuMapBlock(block: Buffer, offset: number): void {
    const { header, extended, gnu } = this.#pending!;
    gnu!.extend(block, offset);
    if (!gnu!.more)
      this.#emit(header, extended, sizeOf(header, extended), {
        numbers: gnu!.numbers,
        size: gnu!.size,
      });
  }

  #paxMapBlock(block: Buffer, offset: number): void {
    const { header, extended, map } = this.#pending!;
    map!.add(block, offset);
    if (!map!.complete) return;
    const stored = sizeOf(header, extended) - map!.bytes;
    const size = extended.sparse?.size;
    if (stored < 0 || size === undefined)
      throw bad('a sparse file', 'is smaller than its map, or has no size');
    this.#emit(header, extended, stored, { numbers: map!.numbers, size });
  }

  #emit(
    header: Header,
    extended: Extended,
    size: number,
    sparse: { readonly numbers: readonly number[]; readonly size: number } | undefined,
  ): void {
    const name = this.#longName ?? extended.sparse?.name ?? extended.path ?? header.name;
    const declared = TYPES[String.fromCharCode(header.typeflag)]!;
    // V7 has no type for directories.
    const type = declared === 'file' && name.endsWith('/') ? 'directory' : declared;
    const dataSize = type === 'file' ? size : 0;
    const { seconds, nanoseconds } = extended.mtime ?? { seconds: header.mtime, nanoseconds: 0 };
    const isLink = type === 'link' || type === 'symlink';
    const entry: Entry = {
      type,
      name,
      linkName: isLink ? (this.#longLink ?? extended.linkPath ?? header.linkName) : '',
      mode: header.mode,
      uid: idOf(extended.uid ?? header.uid),
      gid: idOf(extended.gid ?? header.gid),
      size: type === 'file' ? (sparse?.size ?? dataSize) : 0,
      mtime: seconds,
      mtimeNs: nanoseconds,
      deviceMajor: header.deviceMajor,
      deviceMinor: header.deviceMinor,
      xattrs: extended.xattrs && xattrsOf(extended),
      dataOffset: this.#position,
      dataSize,
      sparse:
        sparse && type === 'file' ? sparseMap(sparse.numbers, sparse.size, dataSize) : undefined,
    };
    this.#longName = this.#longLink = this.#pending = undefined;
    this.#handler.entry(entry);
    this.#inEntry = type === 'file';
    this.#expectData(hasData(header.typeflag) ? size : 0);
  }

  #expectData(size: number): void {
    this.#remaining = size;
    this.#padding = paddingOf(size);
    this.#state = 'data';
    if (size === 0) this.#endData();
  }
}

/** Links, devices, directories and fifos have a size in some archives, but nothing follows. */
const hasData = (typeflag: number): boolean => typeflag < 0x31 || typeflag > 0x36;

function sizeOf(header: Header, extended: Extended): number {
  const size = extended.size ?? header.size;
  if (size < 0) throw bad('the size', 'is negative');
  return size;
}

function idOf(id: number): number {
  if (id < 0 || id > MAX_ID)
    throw bad(`the owner ${id}`, 'is no user or group: it has more than 32 bits');
  return id;
}

import { MicaError } from '../errors.ts';
import type { EntryHandler } from './entry.ts';
import { Block, BLOCK, type Header, isHeader, paddingOf, parseHeader, text } from './header.ts';
import { checkedSize, isMember, Member } from './member.ts';
import { bad } from './number.ts';
import { type Extended, parseExtended, type PaxSparse } from './pax.ts';
import { GnuMap, MapBeforeData, type RawMap } from './sparse.ts';

export interface TarLimits {
  /** Bytes of one extended header or long name. Default 1 MiB, as in Go's archive/tar. */
  readonly extended?: number;
}

const EXTENDED = 2 ** 20;

/** What the next bytes are: a block to be understood, or a number of bytes that belong together. */
type State = 'header' | 'gnu-map' | 'pax-map' | 'body' | 'data' | 'skip' | 'over';

const GNU_SPARSE = 0x53;

/**
 * Reads an archive as it arrives: V7, ustar, GNU, pax and what star, Solaris and bsdtar add.
 *
 * Where readers differ it does what Go's archive/tar does, since every engine that made or will
 * read a layer is built on that:
 *  - global pax headers (`g`) change nothing, nor do volume names (`V`) and Solaris' ACLs (`A`),
 *  - a name that ends with a slash makes a directory of a V7 file only,
 *  - a zero block must be followed by another, or by the end; what follows two is not looked at,
 *  - the end marker may be missing, but not a part of a block.
 *
 * It is wider than Go where Go fails: links and directories whose size says that data follow may
 * have them (`pax -x pax`, old writers) or not (all others), which is seen by what follows; type
 * `7` is a file. It is narrower in that members of a type that POSIX would have read as a file are
 * refused, as engines do, since they are most likely something else.
 *
 * @throws INVALID_ARGUMENT for what is no archive, or has impossible members; DATA_LOSS for one that
 * is damaged or ends too early; RESOURCE_EXHAUSTED for extended headers and sparse maps that are too
 * long; NOT_IMPLEMENTED for parts of several volumes, star's sparse files and unknown types. After
 * an error nothing more may be written.
 */
export class TarReader {
  readonly #handler: EntryHandler;
  readonly #limit: number;
  readonly #block: Block = new Block();
  /** Bytes of the block that are there. */
  #filled = 0;
  #state: State = 'header';
  /** Bytes of the archive that have been looked at. */
  #position = 0;
  /** Bytes until the state ends, and of padding after it. */
  #remaining = 0;
  #padding = 0;
  /** Bytes that may be the data of a link or directory, if it is no header that follows. */
  #doubtful = 0;
  #body: Buffer = Buffer.alloc(0);
  #bodyType = 0;
  #extended: Extended | undefined = undefined;
  #longName = '';
  #longLink = '';
  /** A sparse file whose map is not complete yet. */
  #member: Member | undefined = undefined;
  #map: GnuMap | MapBeforeData | undefined = undefined;
  #sawZeros = false;

  constructor(handler: EntryHandler, { extended = EXTENDED }: TarLimits = {}) {
    this.#handler = handler;
    this.#limit = extended;
  }

  /** Takes the next bytes, any number of them. They are not kept. */
  write(chunk: Uint8Array): void {
    const bytes = Buffer.isBuffer(chunk)
      ? chunk
      : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    let at = 0;
    while (at < bytes.length) {
      const state = this.#state;
      if (state === 'over') return;
      const isBytes = state === 'data' || state === 'skip' || state === 'body';
      at += isBytes ? this.#takeBytes(bytes, at, state) : this.#takeBlock(bytes, at);
    }
  }

  /** The archive is over. */
  end(): void {
    const isWhole = this.#state === 'header' && this.#filled === 0;
    const isAwaited =
      this.#extended !== undefined || this.#longName !== '' || this.#longLink !== '';
    if (this.#state !== 'over' && (!isWhole || isAwaited))
      throw new MicaError(
        'DATA_LOSS',
        `tar: the archive ends in the middle of a member, after ${this.#position} bytes`,
      );
    this.#state = 'over';
  }

  #takeBlock(bytes: Buffer, at: number): number {
    const count = Math.min(BLOCK - this.#filled, bytes.length - at);
    bytes.copy(this.#block.bytes, this.#filled, at, at + count);
    this.#filled += count;
    this.#position += count;
    if (this.#filled === BLOCK) {
      this.#filled = 0;
      if (this.#state === 'header') this.#headerBlock();
      else this.#mapBlock();
    }
    return count;
  }

  #takeBytes(bytes: Buffer, at: number, state: State): number {
    const count = Math.min(this.#remaining, bytes.length - at);
    this.#position += count;
    this.#remaining -= count;
    if (state === 'data') this.#handler.data(bytes.subarray(at, at + count));
    else if (state === 'body')
      bytes.copy(this.#body, this.#body.length - this.#remaining - count, at, at + count);
    if (this.#remaining === 0) this.#endBytes(state);
    return count;
  }

  #expect(state: State, size: number): void {
    this.#state = state;
    this.#remaining = size;
    this.#padding = paddingOf(size);
    if (size === 0) this.#endBytes(state);
  }

  #endBytes(state: State): void {
    this.#remaining = this.#padding;
    this.#padding = 0;
    this.#state = this.#remaining > 0 ? 'skip' : 'header';
    if (state === 'data') this.#handler.end();
    else if (state === 'body') this.#takeBody();
  }

  #headerBlock(): void {
    const { bytes } = this.#block;
    const sum = this.#block.sum();
    if (sum === 0) {
      if (this.#sawZeros) this.#state = 'over';
      this.#sawZeros = true;
      return;
    }
    if (this.#sawZeros) throw bad('a zero block', 'is followed by something else than its like');
    if (isHeader(bytes, sum)) this.#takeHeader(parseHeader(bytes));
    else if (this.#doubtful > 0) {
      this.#expect('skip', this.#doubtful - BLOCK);
      this.#doubtful = 0;
    } else throw this.#noHeader();
  }

  #noHeader(): MicaError {
    if (this.#position === BLOCK) return bad('the first block', 'is not that of an archive');
    const at = this.#position - BLOCK;
    return new MicaError('DATA_LOSS', `tar: the header at ${at} has a wrong checksum`);
  }

  #takeHeader(header: Header): void {
    this.#doubtful = 0;
    const type = String.fromCharCode(header.typeflag);
    if (type === 'x' || type === 'X' || type === 'L' || type === 'K') this.#startBody(header);
    else if (type === 'g' || type === 'V' || type === 'A')
      this.#expect('skip', checkedSize(header.size));
    else if (isMember(header)) {
      const member = new Member(header, this.#extended, this.#longName, this.#longLink);
      this.#extended = undefined;
      this.#longName = this.#longLink = '';
      this.#startMember(member);
    } else
      throw new MicaError(
        'NOT_IMPLEMENTED',
        `tar: the member ${JSON.stringify(header.name)} has the type ${JSON.stringify(type)}, which no layer has`,
      );
  }

  #startBody({ typeflag, size }: Header): void {
    if (checkedSize(size) > this.#limit)
      throw new MicaError(
        'RESOURCE_EXHAUSTED',
        `tar: an extended header of ${size} bytes is longer than ${this.#limit}`,
      );
    this.#bodyType = typeflag;
    if (this.#body.length !== size) this.#body = Buffer.allocUnsafe(size);
    this.#expect('body', size);
  }

  #takeBody(): void {
    const type = String.fromCharCode(this.#bodyType);
    if (type === 'L') this.#longName = text(this.#body, 0, this.#body.length);
    else if (type === 'K') this.#longLink = text(this.#body, 0, this.#body.length);
    else this.#extended = parseExtended(this.#body);
  }

  #startMember(member: Member): void {
    const { sparse, header } = member;
    if (header.typeflag === GNU_SPARSE) {
      if (!header.isGnu) throw notRead("star's format");
      const map = new GnuMap(this.#block.bytes);
      if (map.more) this.#awaitMap('gnu-map', member, map);
      else this.#emit(member, map, 0);
    } else if (sparse === undefined) this.#emit(member, undefined, 0);
    else if (member.type !== 'file') throw bad('a sparse file', 'is not a file');
    else if (sparse.version === '1.0') this.#awaitMap('pax-map', member, new MapBeforeData());
    else if (['', '0.0', '0.1'].includes(sparse.version)) this.#emit(member, rawMap(sparse), 0);
    else throw notRead(`GNU's format ${sparse.version}`);
  }

  #awaitMap(state: 'gnu-map' | 'pax-map', member: Member, map: GnuMap | MapBeforeData): void {
    this.#member = member;
    this.#map = map;
    this.#state = state;
  }

  #mapBlock(): void {
    const [member, map] = [this.#member!, this.#map!];
    if (map instanceof GnuMap) {
      map.extend(this.#block.bytes);
      if (!map.more) this.#emit(member, map, 0);
      return;
    }
    map.add(this.#block.bytes);
    if (map.bytes > member.size) throw bad('a sparse file', 'is smaller than its map');
    if (map.complete)
      this.#emit(member, rawMap({ ...member.sparse!, numbers: map.numbers }), map.bytes);
  }

  /** @param mapSize - bytes before the data that its size counts, too */
  #emit(member: Member, map: RawMap | undefined, mapSize: number): void {
    this.#member = this.#map = undefined;
    this.#state = 'header';
    const entry = member.entry(this.#position, map, mapSize);
    this.#handler.entry(entry);
    this.#doubtful = member.doubtful;
    if (entry.type === 'file') this.#expect('data', entry.dataSize);
    else if (member.dataSize > 0) this.#expect('skip', member.dataSize);
  }
}

function rawMap({ numbers, size }: PaxSparse): RawMap {
  if (size === undefined) throw bad('a sparse file', 'has no size');
  return { numbers, size };
}

const notRead = (format: string): MicaError =>
  new MicaError('NOT_IMPLEMENTED', `tar: sparse files in ${format} are not read`);

import { sliceBytes } from '../sys/byte-string.ts';
import { parseNumber } from './number.ts';

/** Everything in an archive is a multiple of this, in bytes. */
export const BLOCK = 512;

/** One block of an archive, aligned so that it can be summed up a word at a time. */
export class Block {
  readonly bytes: Buffer;
  readonly #words: Uint32Array;

  constructor() {
    const memory = new ArrayBuffer(BLOCK);
    this.bytes = Buffer.from(memory);
    this.#words = new Uint32Array(memory);
  }

  /** The sum of all bytes: 0 for a block of zeros only. */
  sum(): number {
    const words = this.#words;
    // Two sums of 16 bits each side by side, four times as fast as byte by byte: 128 * 255 fits.
    let even = 0;
    let odd = 0;
    for (let at = 0; at < BLOCK / 4; at++) {
      const word = words[at]!;
      even += word & 0xff00ff;
      odd += (word >>> 8) & 0xff00ff;
    }
    return (even & 0xffff) + (even >>> 16) + (odd & 0xffff) + (odd >>> 16);
  }
}

/** The block before each member, as it is: no extension applied. Names are byte strings. */
export interface Header {
  readonly name: string;
  readonly linkName: string;
  /** As a character code. */
  readonly typeflag: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtime: number;
  readonly deviceMajor: number;
  readonly deviceMinor: number;
  readonly isGnu: boolean;
}

const CHECKSUM = 148;
const CHECKSUM_LENGTH = 8;
const TYPEFLAG = 156;
const LINK_NAME = 157;
const MAGIC = 257;
const PREFIX = 345;

/**
 * Reads the block, whose {@link isHeader} was true.
 * @see https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html (ustar Interchange Format)
 * @see https://www.gnu.org/software/tar/manual/html_node/Standard.html
 */
export function parseHeader(bytes: Buffer): Header {
  const typeflag = bytes[TYPEFLAG]!;
  const format = formatOf(bytes);
  const isDevice = format !== 'v7' && (typeflag === 0x33 || typeflag === 0x34);
  return {
    name: nameOf(bytes, format),
    linkName: bytes[LINK_NAME] === 0 ? '' : text(bytes, LINK_NAME, 100),
    typeflag,
    mode: parseNumber(bytes, 100, 8, 'the mode') & 0o7777,
    uid: parseNumber(bytes, 108, 8, 'the uid'),
    gid: parseNumber(bytes, 116, 8, 'the gid'),
    size: parseNumber(bytes, 124, 12, 'the size'),
    mtime: parseNumber(bytes, 136, 12, 'the mtime'),
    deviceMajor: isDevice ? parseNumber(bytes, 329, 8, 'the device number') : 0,
    deviceMinor: isDevice ? parseNumber(bytes, 337, 8, 'the device number') : 0,
    isGnu: format === 'gnu',
  };
}

/** Whether the checksum is right. @param sum - of the block */
export function isHeader(bytes: Buffer, sum: number): boolean {
  const stored = storedSum(bytes);
  let wanted = sum + CHECKSUM_LENGTH * 0x20;
  for (let at = CHECKSUM; at < CHECKSUM + CHECKSUM_LENGTH; at++) wanted -= bytes[at]!;
  return wanted === stored || signedSum(bytes) === stored;
}

/** The sum that belongs into the block: its checksum field counts as spaces. */
export function checksumOf(bytes: Buffer): number {
  let sum = CHECKSUM_LENGTH * 0x20;
  for (let at = 0; at < CHECKSUM; at++) sum += bytes[at]!;
  for (let at = CHECKSUM + CHECKSUM_LENGTH; at < BLOCK; at++) sum += bytes[at]!;
  return sum;
}

/** Some old writers summed signed bytes: each byte of 128 and more counted 256 less. */
function signedSum(bytes: Buffer): number {
  let high = 0;
  for (let at = 0; at < BLOCK; at++)
    if (bytes[at]! > 127 && (at < CHECKSUM || at >= CHECKSUM + CHECKSUM_LENGTH)) high++;
  return checksumOf(bytes) - 256 * high;
}

function storedSum(bytes: Buffer): number {
  let value = 0;
  let digits = 0;
  for (let at = CHECKSUM; at < CHECKSUM + CHECKSUM_LENGTH; at++) {
    const digit = bytes[at]! - 0x30;
    if (digit >= 0 && digit < 8) {
      value = value * 8 + digit;
      digits++;
    } else if (digits > 0) break;
    else if (bytes[at] !== 0x20 && bytes[at] !== 0) return -1;
  }
  return digits > 0 ? value : -1;
}

/** Bytes from the end of `size` bytes of data to the next block. */
export const paddingOf = (size: number): number => (BLOCK - (size % BLOCK)) % BLOCK;

/** A field that ends at its first NUL or its last byte. */
export function text(bytes: Buffer, offset: number, length: number): string {
  let end = offset;
  while (end < offset + length && bytes[end] !== 0) end++;
  return sliceBytes(bytes, offset, end);
}

type Format = 'v7' | 'ustar' | 'star' | 'gnu';

function formatOf(bytes: Buffer): Format {
  if (bytes.readUInt32BE(MAGIC) !== 0x75737461 || bytes[MAGIC + 4] !== 0x72) return 'v7';
  if (bytes[MAGIC + 5] === 0) return bytes.readUInt32BE(508) === 0x74617200 ? 'star' : 'ustar';
  return bytes[MAGIC + 5] === 0x20 && bytes.readUInt16BE(MAGIC + 6) === 0x2000 ? 'gnu' : 'v7';
}

/** ustar has the directories of a long name in a field of its own, that of star is shorter. */
function nameOf(bytes: Buffer, format: Format): string {
  const name = text(bytes, 0, 100);
  if (bytes[PREFIX] === 0 || format === 'v7') return name;
  if (format === 'gnu' && !hasMistakenPrefix(bytes)) return name;
  return `${text(bytes, PREFIX, format === 'star' ? 131 : 155)}/${name}`;
}

/**
 * GNU keeps access and change time where ustar has its prefix. Go before 1.8 wrote a prefix there
 * all the same (https://golang.org/issue/12594), and layers of that time are still around.
 */
const hasMistakenPrefix = (bytes: Buffer): boolean =>
  !mayBeNumber(bytes, PREFIX) || !mayBeNumber(bytes, PREFIX + 12);

function mayBeNumber(bytes: Buffer, offset: number): boolean {
  if (bytes[offset]! >= 0x80) return true;
  for (const byte of bytes.subarray(offset, offset + 12))
    if (byte !== 0 && byte !== 0x20 && (byte < 0x30 || byte > 0x37)) return false;
  return true;
}

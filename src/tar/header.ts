import { sliceBytes } from '../sys/byte-string.ts';
import { bad, parseNumber } from './number.ts';

/** Everything in an archive is a multiple of this, in bytes. */
export const BLOCK = 512;

/** The 512 bytes before each member, as they are: no extension applied. Names are byte strings. */
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
const TYPEFLAG = 156;
const MAGIC = 257;
const PREFIX = 345;

/**
 * @see https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html (ustar Interchange Format)
 * @see https://www.gnu.org/software/tar/manual/html_node/Standard.html
 */
export function parseHeader(block: Buffer, offset: number): Header {
  checkSum(block, offset);
  const typeflag = block[offset + TYPEFLAG]!;
  const magic = sliceBytes(block, offset + MAGIC, offset + MAGIC + 8);
  const isGnu = magic === 'ustar  \0';
  const isUstar = magic.startsWith('ustar\0');
  const device = (isGnu || isUstar) && (typeflag === 0x33 || typeflag === 0x34);
  return {
    name: nameOf(block, offset, isUstar),
    linkName: block[offset + 157] === 0 ? '' : text(block, offset + 157, 100),
    typeflag,
    mode: parseNumber(block, offset + 100, 8, 'the mode') & 0o7777,
    uid: parseNumber(block, offset + 108, 8, 'the uid'),
    gid: parseNumber(block, offset + 116, 8, 'the gid'),
    size: parseNumber(block, offset + 124, 12, 'the size'),
    mtime: parseNumber(block, offset + 136, 12, 'the mtime'),
    deviceMajor: device ? parseNumber(block, offset + 329, 8, 'the device number') : 0,
    deviceMinor: device ? parseNumber(block, offset + 337, 8, 'the device number') : 0,
    isGnu,
  };
}

/** Two of these end an archive. */
export function isZeroBlock(block: Buffer, offset: number): boolean {
  for (let at = offset; at < offset + BLOCK; at++) if (block[at] !== 0) return false;
  return true;
}

/** Bytes from the end of `size` bytes of data to the next block. */
export const paddingOf = (size: number): number => (BLOCK - (size % BLOCK)) % BLOCK;

/** The sum of the header's bytes, its checksum field taken as spaces. */
export function sumOf(block: Buffer, offset: number): number {
  let sum = 8 * 0x20;
  for (let at = offset; at < offset + CHECKSUM; at++) sum += block[at]!;
  for (let at = offset + CHECKSUM + 8; at < offset + BLOCK; at++) sum += block[at]!;
  return sum;
}

/** A field that ends at its first NUL or its last byte. */
export function text(block: Buffer, offset: number, length: number): string {
  const nul = block.indexOf(0, offset);
  return sliceBytes(block, offset, nul < 0 || nul > offset + length ? offset + length : nul);
}

function checkSum(block: Buffer, offset: number): void {
  const stored = parseNumber(block, offset + CHECKSUM, 8, 'the checksum');
  const sum = sumOf(block, offset);
  if (sum === stored) return;
  // Some old writers summed signed bytes: each byte of 128 and more counted 256 less.
  let high = 0;
  for (let at = offset; at < offset + BLOCK; at++)
    if (block[at]! > 127 && (at < offset + CHECKSUM || at >= offset + CHECKSUM + 8)) high++;
  if (sum - 256 * high !== stored)
    throw bad(
      'a header',
      `has the checksum ${stored}, but adds up to ${sum}: this is not a tar archive, or it is damaged`,
    );
}

/** GNU keeps other things where ustar has its prefix; star, marked at the end, has a shorter one. */
function nameOf(block: Buffer, offset: number, isUstar: boolean): string {
  const name = text(block, offset, 100);
  if (!isUstar || block[offset + PREFIX] === 0) return name;
  const star = sliceBytes(block, offset + 508, offset + BLOCK) === 'tar\0';
  return `${text(block, offset + PREFIX, star ? 131 : 155)}/${name}`;
}

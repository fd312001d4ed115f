import { MicaError } from '../errors.ts';
import type { BitReader } from './bit-reader.ts';

/** Flags of a member's header (RFC 1952, 2.3.1). */
const [CRC, EXTRA, NAME, COMMENT] = [0x02, 0x04, 0x08, 0x10];
/** Longest header, and longest run of zeros at the end, in bytes. */
const LIMIT = 128 * 1024;

/**
 * Reads a member's header, or the zeros that may follow the last member.
 * @returns the bytes as they are, and whether a deflate stream follows them
 */
export function readHeader(bits: BitReader): {
  readonly bytes: Uint8Array;
  readonly more: boolean;
} {
  const taken: number[] = [];
  const next = (): number => {
    const byte = bits.byte();
    if (byte === undefined || taken.length === LIMIT)
      throw new MicaError('DATA_LOSS', 'the header of a gzip member is damaged');
    taken.push(byte);
    return byte;
  };
  const text = (): void => {
    while (next() !== 0);
  };
  const begin = bits.byte();
  if (begin === undefined) return { bytes: Uint8Array.of(), more: false };
  taken.push(begin);
  if (begin === 0) return { bytes: zeros(bits, taken), more: false };
  if (begin !== 0x1f || next() !== 0x8b || next() !== 8)
    throw new MicaError('DATA_LOSS', 'the bytes are not those of a gzip file');
  const flags = next();
  for (let left = 6; left > 0; left--) next();
  if (flags & EXTRA) for (let left = next() + 256 * next(); left > 0; left--) next();
  if (flags & NAME) text();
  if (flags & COMMENT) text();
  if (flags & CRC) void (next() + next());
  return { bytes: Uint8Array.from(taken), more: true };
}

/** Checksum and length of a member's data. */
export function readTrailer(bits: BitReader): Uint8Array {
  return Uint8Array.from({ length: 8 }, () => {
    const byte = bits.byte();
    if (byte === undefined) throw new MicaError('DATA_LOSS', 'the gzip file is cut');
    return byte;
  });
}

function zeros(bits: BitReader, taken: number[]): Uint8Array {
  for (let byte = bits.byte(); byte !== undefined; byte = bits.byte()) {
    taken.push(byte);
    if (byte !== 0 || taken.length === LIMIT)
      throw new MicaError('DATA_LOSS', 'something else follows the end of the gzip file');
  }
  return Uint8Array.from(taken);
}

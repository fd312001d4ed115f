import { crc32 } from 'node:zlib';

/**
 * The header of a gzip member, which may come in pieces.
 * @see RFC 1952 section 2.3
 */

const FIXED = 10;
const [ID1, ID2, DEFLATE] = [0x1f, 0x8b, 8];
const [FHCRC, FEXTRA, FNAME, FCOMMENT, RESERVED] = [2, 4, 8, 16, 0xe0];

export interface GzipHeader {
  /** @returns how many bytes of `input` belong to the header @throws Error when it is none */
  take(input: Uint8Array): number;
  readonly isWhole: boolean;
}

export function gzipHeader(): GzipHeader {
  const parts = partsOfHeader();
  let crc = 0;
  let part = parts.next();
  return {
    take(input) {
      let used = 0;
      while (used < input.length && !part.done) {
        const byte = input[used++]!;
        // Its own bytes are no part of what it checks.
        const before = crc;
        crc = crc32(Uint8Array.of(byte), crc);
        part = parts.next({ byte, before });
      }
      return used;
    },
    get isWhole() {
      return part.done === true;
    },
  };
}

interface HeaderByte {
  readonly byte: number;
  /** Checksum of all bytes before it. */
  readonly before: number;
}

/** Asks for one byte after the other. */
function* partsOfHeader(): Generator<undefined, undefined, HeaderByte> {
  const fixed: number[] = [];
  while (fixed.length < FIXED) fixed.push((yield).byte);
  const [id1, id2, method, flags = 0] = fixed;
  if (id1 !== ID1 || id2 !== ID2) throw new Error('invalid gzip header');
  if (method !== DEFLATE || (flags & RESERVED) !== 0) throw new Error('unknown compression method');
  if ((flags & FEXTRA) !== 0) {
    let length = (yield).byte + (yield).byte * 256;
    for (; length > 0; length--) yield;
  }
  for (const flag of [FNAME, FCOMMENT]) if ((flags & flag) !== 0) while ((yield).byte !== 0);
  if ((flags & FHCRC) === 0) return undefined;
  const low = yield;
  const high = yield;
  if (low.byte + high.byte * 256 !== (low.before & 0xffff))
    throw new Error('incorrect header check');
  return undefined;
}

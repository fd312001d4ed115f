import { MicaError } from '../errors.ts';

/** How bytes are stored. */
export type Compression = 'gzip' | 'zstd' | 'none';

/** Bytes that {@link sniffCompression} wants to see. */
export const SNIFF_LENGTH = 6;

const REFUSED: readonly (readonly [name: string, magic: readonly number[]])[] = [
  ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
  ['bzip2', [0x42, 0x5a, 0x68]],
  ['lz4', [0x04, 0x22, 0x4d, 0x18]],
  ['lzip', [0x4c, 0x5a, 0x49, 0x50]],
];

/**
 * Tells by its first bytes how a layer is compressed; media types are often wrong about it.
 * A zstd stream may begin with a skippable frame (RFC 8878 §3.1.2).
 * @throws NOT_IMPLEMENTED for compressions that no image specification has
 */
export function sniffCompression(start: Uint8Array): Compression {
  const begins = (...magic: number[]): boolean => magic.every((byte, at) => start[at] === byte);
  if (begins(0x1f, 0x8b)) return 'gzip';
  if (begins(0x28, 0xb5, 0x2f, 0xfd)) return 'zstd';
  if (
    start.length >= 4 &&
    (start[0]! & 0xf0) === 0x50 &&
    start[1] === 0x2a &&
    start[2] === 0x4d &&
    start[3] === 0x18
  )
    return 'zstd';
  for (const [name, magic] of REFUSED)
    if (begins(...magic))
      throw new MicaError(
        'NOT_IMPLEMENTED',
        `a layer compressed with ${name} is not read; gzip, zstd and plain tar are`,
      );
  return 'none';
}

import { MicaError } from '../errors.ts';
import { compressionOf } from '../oci/media-type.ts';

/** How bytes are stored. */
export type Compression = 'gzip' | 'zstd' | 'none';

/** Bytes that {@link sniffCompression} wants to see. */
export const SNIFF_LENGTH = 10;

const GZIP = [0x1f, 0x8b];
const ZSTD = [0x28, 0xb5, 0x2f, 0xfd];

const ANY = -1;
/** In full where a magic number is text, which the first name in an archive could be, too. */
const REFUSED: readonly (readonly [name: string, magic: readonly number[]])[] = [
  ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
  ['bzip2', [0x42, 0x5a, 0x68, ANY, 0x31, 0x41, 0x59, 0x26, 0x53, 0x59]],
  ['lz4', [0x04, 0x22, 0x4d, 0x18]],
  ['lzip', [0x4c, 0x5a, 0x49, 0x50, 0x01]],
  ['compress', [0x1f, 0x9d]],
];

/**
 * Tells by its first bytes how a layer is compressed. Media types are often wrong about it; this
 * one counts only while there are too few bytes.
 * @throws NOT_IMPLEMENTED for compressions that no image specification has
 */
export function sniffCompression(start: Uint8Array, mediaType = ''): Compression {
  const begins = (magic: readonly number[]): boolean =>
    magic.every((byte, at) => byte === ANY || start[at] === byte);
  if (begins(GZIP)) return 'gzip';
  if (begins(ZSTD) || isSkippable(start)) return 'zstd';
  const refused = REFUSED.find(([, magic]) => begins(magic))?.[0];
  if (refused !== undefined)
    throw new MicaError(
      'NOT_IMPLEMENTED',
      `what is compressed with ${refused} is not read; gzip, zstd and plain tar are`,
    );
  return (start.length < ZSTD.length && compressionOf(mediaType)) || 'none';
}

/**
 * A zstd stream may begin with a frame that decoders skip; pzstd writes such streams.
 * @see https://www.rfc-editor.org/rfc/rfc8878#section-3.1.2
 */
const isSkippable = (start: Uint8Array): boolean =>
  (start[0]! & 0xf0) === 0x50 && start[1] === 0x2a && start[2] === 0x4d && start[3] === 0x18;

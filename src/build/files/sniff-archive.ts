import { MicaError } from '../../errors.ts';
import type { Abortable, Bytes } from '../../io/bytes.ts';
import { decompress } from '../../io/compress.ts';
import { Block, BLOCK, isHeader } from '../../tar/header.ts';

const COMPRESSIONS: readonly (readonly [name: string, magic: readonly number[]])[] = [
  ['gzip', [0x1f, 0x8b]],
  ['zstd', [0x28, 0xb5, 0x2f, 0xfd]],
  ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
  ['bzip2', [0x42, 0x5a, 0x68]],
];

/**
 * The tar archive that `open` gives, no more compressed.
 * @returns `undefined` when it is none: also for what is compressed and is no archive inside
 * @throws NOT_IMPLEMENTED for xz and bzip2, which Docker unpacks and Node cannot
 */
export async function archiveIn(
  open: (options: Abortable) => Bytes,
  options: Abortable,
): Promise<((options: Abortable) => Bytes) | undefined> {
  const start = await startOf(open(options), BLOCK);
  const found = COMPRESSIONS.find(([, magic]) =>
    magic.every((byte, at) => start[at] === byte),
  )?.[0];
  if (found === 'xz' || (found === 'bzip2' && start.toString('latin1', 4, 10) === '1AY&SY'))
    throw new MicaError(
      'NOT_IMPLEMENTED',
      `an archive compressed with ${found} is not unpacked; decompress it first, compress it with gzip or zstd, or copy it as it is with COPY`,
    );
  const compressed = found === 'gzip' || found === 'zstd';
  const plain = (rest: Abortable): Bytes =>
    compressed ? decompress(open(rest), { ...rest, compression: found }) : open(rest);
  if (compressed && !isTar(await startOf(plain(options), BLOCK).catch(() => Buffer.alloc(0))))
    return undefined;
  return compressed || isTar(start) ? plain : undefined;
}

/** The first bytes; fewer when there are not as many. */
async function startOf(bytes: Bytes, length: number): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of bytes) {
    chunks.push(chunk);
    size += chunk.length;
    if (size >= length) break;
  }
  return Buffer.concat(chunks).subarray(0, length);
}

/** Begins as an archive does: with a header whose checksum is right, or as an empty one. */
function isTar(start: Buffer): boolean {
  if (start.length < BLOCK) return false;
  const block = new Block();
  start.copy(block.bytes);
  const sum = block.sum();
  return sum > 0 && isHeader(block.bytes, sum);
}

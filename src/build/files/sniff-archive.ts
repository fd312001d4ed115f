import { isCode } from '../../errors.ts';
import type { Abortable, Bytes } from '../../io/bytes.ts';
import { sniffProgramCompression, withoutProgramCompression } from '../../io/by-program.ts';
import { decompress } from '../../io/compress.ts';
import { Block, BLOCK, isHeader } from '../../tar/header.ts';

const COMPRESSIONS = [
  ['gzip', [0x1f, 0x8b]],
  ['zstd', [0x28, 0xb5, 0x2f, 0xfd]],
] as const;

/**
 * The tar archive that `open` gives, no more compressed.
 * @returns `undefined` when it is none: also for what is compressed and is no archive inside
 * @throws NOT_IMPLEMENTED for xz and bzip2 where the program for it is missing
 */
export async function archiveIn(
  open: (options: Abortable) => Bytes,
  options: Abortable,
): Promise<((options: Abortable) => Bytes) | undefined> {
  const start = await startOf(open(options), BLOCK);
  if (isTar(start)) return open;
  const plain = expander(start, open);
  if (plain === undefined) return undefined;
  try {
    return isTar(await startOf(plain(options), BLOCK)) ? plain : undefined;
  } catch (error) {
    if (isCode(error, 'NOT_IMPLEMENTED')) throw error;
    return undefined;
  }
}

function expander(
  start: Uint8Array,
  open: (options: Abortable) => Bytes,
): ((options: Abortable) => Bytes) | undefined {
  if (sniffProgramCompression(start) !== undefined)
    return (options) => withoutProgramCompression(open(options), options);
  const compression = COMPRESSIONS.find(([, magic]) =>
    magic.every((byte, at) => start[at] === byte),
  )?.[0];
  return compression && ((options) => decompress(open(options), { ...options, compression }));
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

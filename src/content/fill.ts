import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { isCode } from '../errors.ts';
import type { Abortable, Bytes, Reopenable } from '../io/bytes.ts';
import { hasKernel } from '../sys/binding.ts';
import { fromNode } from '../sys/errno.ts';
import { readBytes } from './blob-files.ts';
import type { Ingest, StoredBlob } from './content.ts';
import { Verifier } from './verify.ts';

/**
 * Completes `ingest` with the rest of `content`, verified. When what an earlier attempt left proves
 * wrong, everything is fetched once more from the beginning.
 */
export async function fill(ingest: Ingest, content: Reopenable, options: Abortable): Promise<void> {
  const resumed = ingest.offset > 0;
  try {
    await attempt(ingest, content, options);
  } catch (error) {
    if (!isCode(error, 'DATA_LOSS') || ingest.offset < ingest.target.size) throw error;
    ingest.reset();
    if (!resumed) throw error;
    await attempt(ingest, content, options);
  }
  // Whatever fails from here on is not about its bytes.
  ingest.complete();
}

async function attempt(ingest: Ingest, content: Reopenable, options: Abortable): Promise<void> {
  const verifier = new Verifier(ingest.target);
  if (ingest.offset > 0)
    for await (const chunk of readBytes(ingest.path, options)) verifier.update(chunk);
  if (ingest.offset < ingest.target.size || ingest.target.size === 0)
    for await (const chunk of content(ingest.offset)) {
      options.signal?.throwIfAborted();
      verifier.update(chunk);
      ingest.write(chunk);
    }
  verifier.end();
}

/** Writes `content` to a new file, and tells what it is. */
export async function spool(
  path: string,
  content: Bytes,
  { signal }: Abortable,
): Promise<StoredBlob> {
  const hash = createHash('sha256');
  let size = 0;
  try {
    await using file = await open(path, 'wx', 0o644);
    for await (const chunk of content) {
      signal?.throwIfAborted();
      hash.update(chunk);
      await file.writeFile(chunk);
      size += chunk.byteLength;
    }
    if (!hasKernel()) await file.sync();
  } catch (error) {
    throw fromNode(error);
  }
  return { digest: `sha256:${hash.digest('hex')}`, size };
}

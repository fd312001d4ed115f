import type { ContentStore, Ingest, Source } from '../../content/content.ts';
import { isCode } from '../../errors.ts';
import { Available } from '../../layer/available.ts';
import { SMALL_BLOB, type UnpackJob, type UnpackResult } from '../../layer/unpack-job.ts';
import type { Unpacker } from '../../layer/unpack.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import type { PullEvent } from '../pull/pull.ts';

/** What a layer's download and unpacking have in common. */
export interface LayerTask {
  readonly content: ContentStore;
  readonly source: Source;
  readonly unpacker: Unpacker;
  readonly target: Descriptor;
  /** Everything of the job but the blob: its file is found here. */
  readonly job: Omit<UnpackJob, 'blob' | 'size' | 'digest' | 'mediaType'>;
  readonly signal: AbortSignal;
  readonly emit: (event: PullEvent) => void;
  /** Called with each number of bytes that came over the wire. */
  readonly onFetched: (bytes: number) => void;
}

/**
 * Brings the blob into the store and unpacks it, in one pass while it downloads where it is not
 * there yet (a small one afterwards: in the meantime its thread does something else). A mismatch after a resumed download is tried once more from the beginning, since
 * the bytes of the earlier attempt may be the wrong ones.
 */
export async function bringLayer(task: LayerTask): Promise<UnpackResult> {
  await using ingest = await task.content.openIngest(task.target, {
    signal: task.signal,
    onWait: (bytes) =>
      task.emit({ type: 'bytes', target: task.target, bytes, resumed: 0, shared: true }),
  });
  if (ingest === undefined) return unpackBlob(task);
  const result = await fillAndUnpack(task, ingest);
  // Whatever fails from here on is not about its bytes.
  ingest.complete();
  return result;
}

async function fillAndUnpack(task: LayerTask, ingest: Ingest): Promise<UnpackResult> {
  const resumed = ingest.offset;
  const attempt = task.target.size <= SMALL_BLOB ? downloadThenUnpack : downloadAndUnpack;
  try {
    return await attempt(task, ingest);
  } catch (error) {
    if (!isCode(error, 'DATA_LOSS')) throw error;
    ingest.reset();
    if (resumed === 0) throw error;
    task.emit({ type: 'retry', target: task.target, reason: error.message, delay: 0 });
    return await attempt(task, ingest);
  }
}

function jobOf({ target, job }: LayerTask, blob: string): UnpackJob {
  const { size, digest, mediaType } = target;
  return { ...job, blob, size, digest, mediaType };
}

async function unpackBlob(task: LayerTask): Promise<UnpackResult> {
  const { content, target, signal, emit } = task;
  emit({ type: 'downloaded', target });
  return task.unpacker.unpack(jobOf(task, content.path(target.digest)), {
    signal,
    onProgress: (bytes) => emit({ type: 'extracting', target, bytes }),
  });
}

async function downloadThenUnpack(task: LayerTask, ingest: Ingest): Promise<UnpackResult> {
  const { target, signal, emit, unpacker } = task;
  await download(task, ingest, signal);
  emit({ type: 'downloaded', target });
  return unpacker.unpack(jobOf(task, ingest.path), {
    signal,
    onProgress: (bytes) => emit({ type: 'extracting', target, bytes }),
  });
}

async function downloadAndUnpack(task: LayerTask, ingest: Ingest): Promise<UnpackResult> {
  const { target, emit } = task;
  const available = new Available();
  const stop = new AbortController();
  const signal = AbortSignal.any([task.signal, stop.signal]);
  let downloaded = false;
  const unpacking = task.unpacker.unpack(jobOf(task, ingest.path), {
    signal,
    available,
    onProgress: (bytes) => {
      if (downloaded) emit({ type: 'extracting', target, bytes });
    },
  });
  // A layer that cannot be unpacked needs no more bytes; its own error is thrown below.
  unpacking.catch((error: unknown) => stop.abort(error));
  try {
    await download(task, ingest, signal, available);
    downloaded = true;
    available.end();
    emit({ type: 'downloaded', target });
  } catch (error) {
    // Now, because a worker that hears of the failure fails, too.
    const reason: unknown = stop.signal.aborted ? stop.signal.reason : error;
    available.fail();
    await unpacking.catch(() => undefined);
    throw reason;
  }
  return unpacking;
}

async function download(
  { source, target, emit, onFetched }: LayerTask,
  ingest: Ingest,
  signal: AbortSignal,
  available?: Available,
): Promise<void> {
  const resumed = ingest.offset;
  available?.add(resumed);
  emit({ type: 'bytes', target, bytes: resumed, resumed, shared: false });
  if (resumed === target.size) return;
  for await (const chunk of source.fetch(target, { offset: resumed, signal, lend: true })) {
    ingest.write(chunk);
    available?.add(chunk.byteLength);
    onFetched(chunk.byteLength);
    emit({ type: 'bytes', target, bytes: ingest.offset, resumed, shared: false });
  }
}

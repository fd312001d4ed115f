import { closeSync, mkdirSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { MicaError } from '../errors.ts';
import { removeTree } from '../fs/remove.ts';
import { WriteBehind } from '../io/write-behind.ts';
import { algorithmOf, type DiffId, type Digest, sha256 } from '../oci/digest.ts';
import { errnoOf, fromNode } from '../sys/errno.ts';
import type { EntryHandler } from '../tar/entry.ts';
import { TarReader } from '../tar/read.ts';
import { LayerWriter } from '../windows/layer-writer.ts';
import { Changeset } from './changeset/changeset.ts';
import { Extraction } from './extract/extract.ts';
import {
  FILES_DIRECTORY,
  INDEX_FILE,
  refuseUnmapped,
  TAR_FILE,
  tagOf,
  writeLayerIndex,
} from './index-output.ts';
import { type Lower, lowerOf } from './changeset/lower.ts';
import { readBlob, type ReadBlobOptions } from './read-blob.ts';
import { type LayerSink, noSink } from './changeset/sink.ts';
import { TarOutput } from './tar-output.ts';
import type { UnpackJob, UnpackResult } from './unpack-job.ts';

export interface UnpackLayerOptions extends ReadBlobOptions {
  /** Whether this thread's umask is 0. */
  readonly exactModes?: boolean;
}

/**
 * Does a job, blocking this thread for most of it: blob digest, inflate, diffID, tar, index and extraction in one
 * pass over bytes that may still be arriving.
 *
 * @throws DATA_LOSS when the bytes are not what they must be. That is known at the end only: until
 * this returns nothing in the job's directory may be used, and after an error it must be emptied.
 */
export async function unpackLayer(
  job: UnpackJob,
  options: UnpackLayerOptions,
): Promise<UnpackResult> {
  try {
    return await unpack(job, options);
  } catch (error) {
    throw fromNode(error);
  } finally {
    // Nothing runs any more, whatever happened.
    options.memory?.slabs.reclaim();
  }
}

async function unpack(job: UnpackJob, options: UnpackLayerOptions): Promise<UnpackResult> {
  await using work = new AsyncDisposableStack();
  const lower = lowerOfJob(job);
  work.use(lower);
  const endApplying = job.form === 'direct' ? beginApplying(job.directory) : undefined;
  const sink = work.use(openSink(job, options.exactModes ?? false));
  const changeset = new Changeset(sink, { lower, inheritRoot: job.form === 'direct' });
  const windows = job.form === 'windows' ? work.use(openWindows(job)) : undefined;
  const reader = new TarReader(windows ? both(windows, changeset) : changeset);
  const algorithm = job.diffId === undefined ? 'sha256' : algorithmOf(job.diffId);
  const tar = work.use(new TarOutput(windows?.keeping(reader) ?? reader, algorithm));
  const file =
    job.form === 'tar' ? work.use(new WriteBehind(join(job.directory, TAR_FILE))) : undefined;

  await readBlob(
    { ...job, path: job.blob },
    (piece) => {
      // Written by another thread while this one does the rest.
      file?.write(piece);
      tar.write(piece.bytes);
      if (file === undefined) piece.release();
    },
    options,
  );
  await file?.flush();
  const diffId = tar.end() as DiffId;
  if (job.diffId !== undefined && diffId !== job.diffId)
    throw new MicaError(
      'DATA_LOSS',
      `layer ${job.digest}: its content has diffID ${diffId}, the image says ${job.diffId}`,
    );
  reader.end();
  windows?.finish();
  changeset.finish();
  const own = { tag: tagOf(diffId), size: tar.size };
  const index = changeset.incomplete
    ? noIndex()
    : writeLayerIndex(changeset.root, job, [own, ...changeset.lowerDevices]);
  if (job.form === 'tar') refuseUnmapped(index);
  endApplying?.();
  const { dependent, stats } = changeset;
  const facts = { digest: job.digest, diffId, tarSize: tar.size, dependent, stats };
  return { ...facts, indexSize: index.size, indexDigest: index.digest };
}

/** Nobody can use half a tree by mistake. */
const noIndex = (): { size: number; digest: Digest; unmapped: number } => ({
  size: 0,
  digest: sha256(''),
  unmapped: 0,
});

function lowerOfJob({ parents }: UnpackJob): Lower | undefined {
  return parents && lowerOf(parents.map(({ directory }) => join(directory, INDEX_FILE)).reverse());
}

function openSink({ form, directory, parents }: UnpackJob, exactModes: boolean): LayerSink {
  if (form === 'tar' || form === 'windows') return noSink;
  const files = join(directory, FILES_DIRECTORY);
  // What an earlier attempt left would mix with this one.
  if (form !== 'direct') removeTree(files);
  mkdirSync(files, { recursive: form === 'direct', mode: 0o700 });
  const lowerFiles = parents?.map((parent) => join(parent.directory, FILES_DIRECTORY)).reverse();
  return new Extraction(files, { form, exactModes, lowerFiles: lowerFiles ?? [] });
}

const openWindows = ({ directory, parents }: UnpackJob): LayerWriter =>
  new LayerWriter(directory, { parents: parents?.map((parent) => parent.directory) });

/** Tells both, the first one first: what it refuses the second never hears of. */
function both(first: EntryHandler, second: EntryHandler): EntryHandler {
  const told = [first, second];
  return {
    entry: (entry) => told.forEach((handler) => handler.entry(entry)),
    data: (chunk) => told.forEach((handler) => handler.data(chunk)),
    end: () => told.forEach((handler) => handler.end()),
  };
}

/**
 * Notes that a layer is being applied onto its parents' files. What a failed attempt did to them
 * cannot be undone, so a second attempt on the same files is refused.
 * @returns what to call when it is done
 */
function beginApplying(directory: string): () => void {
  const path = join(directory, 'applying');
  try {
    closeSync(openSync(path, 'wx', 0o600));
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error;
    throw new MicaError(
      'FAILED_PRECONDITION',
      `${directory}: a layer was applied in part; begin with a new copy of the layers below`,
    );
  }
  return () => rmSync(path);
}

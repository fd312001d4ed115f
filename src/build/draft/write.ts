import { createHash } from 'node:crypto';
import type { Abortable, Bytes } from '../../io/bytes.ts';
import { type NewEntry, TarWriter } from '../../tar/write.ts';
import { changed, type DraftDigests } from './digest.ts';
import type { DraftFile, LayerDraft } from './draft.ts';

export interface WriteDraftOptions extends Abortable {
  /** In seconds since 1970: what was modified later counts as modified then (`SOURCE_DATE_EPOCH`). */
  readonly sourceDateEpoch?: number | undefined;
}

/**
 * The archive of a draft. The same files give the same bytes.
 * @throws FAILED_PRECONDITION when a file is not what it was when `digests` were made
 */
export async function* writeDraft(
  draft: LayerDraft,
  digests: DraftDigests,
  { sourceDateEpoch = Infinity, signal }: WriteDraftOptions = {},
): Bytes {
  const ready: Uint8Array[] = [];
  const tar = new TarWriter((chunk) => ready.push(chunk));
  const first = new Map<string, string>();
  for (const [path, file] of draft.members()) {
    signal?.throwIfAborted();
    const link = file.identity === undefined ? undefined : first.get(file.identity);
    tar.entry(entryOf(path, file, link, sourceDateEpoch));
    if (file.identity !== undefined && link === undefined) first.set(file.identity, path);
    if (file.open !== undefined && link === undefined)
      yield* content(tar, ready, path, file.open({ signal }), digests);
    yield* gathered(ready);
  }
  tar.finish();
  yield* ready;
}

/** What is joined before it goes on, in bytes. */
const CHUNK = 64 * 1024;

function* gathered(ready: Uint8Array[]): Generator<Uint8Array, void, undefined> {
  if (ready.reduce((sum, { length }) => sum + length, 0) >= CHUNK)
    yield Buffer.concat(ready.splice(0));
}

async function* content(
  tar: TarWriter,
  ready: Uint8Array[],
  path: string,
  bytes: Bytes,
  digests: DraftDigests,
): Bytes {
  const hash = createHash('sha256');
  try {
    for await (const chunk of bytes) {
      hash.update(chunk);
      tar.data(chunk);
      yield* gathered(ready);
    }
  } catch (error) {
    // More than there was.
    if ((error as { code?: unknown }).code === 'INVALID_ARGUMENT') throw changed(path);
    throw error;
  }
  if (digests.get(path)?.endsWith(` ${hash.digest('hex')}`) !== true) throw changed(path);
}

function entryOf(path: string, file: DraftFile, link: string | undefined, epoch: number): NewEntry {
  const { type, mode, uid, gid, size, mtime, mtimeNs, target, major, minor, xattrs } = file;
  const isLater = mtime >= epoch;
  return {
    type: link === undefined ? (type as NewEntry['type']) : 'link',
    name: path,
    linkName: link ?? target,
    mode: type === 'symlink' ? 0o777 : mode,
    uid,
    gid,
    size: link === undefined ? size : 0,
    mtime: isLater ? epoch : mtime,
    mtimeNs: isLater ? 0 : mtimeNs,
    deviceMajor: major,
    deviceMinor: minor,
    xattrs: link === undefined && xattrs.length > 0 ? xattrs : undefined,
    sparse: undefined,
  };
}

import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFREG } from '../../erofs/node.ts';
import { Root } from '../../fs/root.ts';
import type { Pace } from '../../io/pace.ts';
import { OPAQUE_WHITEOUT } from '../../oci/whiteout.ts';
import { majorOf, minorOf } from '../../sys/at.ts';
import type { EntryHandler } from '../../tar/entry.ts';
import { type NewEntry, TarWriter } from '../../tar/write.ts';
import { isDevice, typeOf } from './attributes.ts';
import type { Changes, Present } from './change.ts';
import { dataRuns } from './holes.ts';
import { mark, whiteoutOf } from './mark-member.ts';
import { OpenFile } from './open-file.ts';

export interface LayerTarOptions {
  /** In seconds since 1970: what was modified later counts as modified then (`SOURCE_DATE_EPOCH`). */
  readonly sourceDateEpoch?: number | undefined;
}

interface WriteOptions extends LayerTarOptions {
  /** Is told what a reader of the archive would tell. */
  readonly handler?: EntryHandler | undefined;
}

/**
 * Writes changes as a layer's archive: in a directory first what was deleted, then the rest in byte
 * order; the first name of a file before its hard links. The same files give the same bytes, on
 * whatever file system, machine and day.
 *
 * @param sink - must be done with a chunk when it returns
 * @throws FAILED_PRECONDITION when a file changes while it is read
 */
export async function writeLayerTar(
  changes: Changes,
  sink: (chunk: Uint8Array) => void,
  pace: Pace,
  { sourceDateEpoch: epoch = Infinity, handler }: WriteOptions = {},
): Promise<void> {
  using root = new Root(changes.root);
  const tar = new TarWriter(sink, handler);
  /** An opaque directory says all about what was deleted below it. */
  let opaque: string | undefined;
  for (const change of changes.list) {
    if (pace.due) await pace.rest();
    const isCovered = opaque !== undefined && change.path.startsWith(opaque);
    if (change.kind === 'deleted') {
      if (!isCovered) tar.entry(mark(whiteoutOf(change.path)));
    } else if (isRegular(change)) await writeFile(tar, root, change, pace, epoch);
    else tar.entry(entryOf(change, epoch));
    if (change.kind === 'deleted' || !change.opaque || isCovered) continue;
    opaque = `${change.path}/`;
    tar.entry(mark(opaque + OPAQUE_WHITEOUT));
  }
  tar.finish();
}

const isRegular = (file: Present): boolean =>
  typeOf(file.stat) === S_IFREG && file.link === undefined;

/** Pieces that a file is read in, in bytes. */
const PIECE = 1 << 20;
const buffer = Buffer.allocUnsafeSlow(PIECE);

async function writeFile(
  tar: TarWriter,
  root: Root,
  change: Present,
  pace: Pace,
  epoch: number,
): Promise<void> {
  using file = new OpenFile(root, change);
  const { size } = change.stat;
  if (size < PIECE) return writeSmall(tar, file, change, epoch);
  file.checkUnchanged();
  const sparse = await dataRuns(file.fd, size, change.path, pace);
  tar.entry(entryOf(change, epoch, { size, sparse }));
  for (const { offset, length } of sparse ?? [{ offset: 0, length: size }])
    for (let at = 0; at < length; at += PIECE) {
      if (at > 0 && pace.due) await pace.rest();
      tar.data(file.read(offset + at, buffer.subarray(0, Math.min(PIECE, length - at))));
    }
  file.checkUnchanged();
}

/** Read at once, and checked before anything is made of it: one look after it was read tells as much as two. */
function writeSmall(tar: TarWriter, file: OpenFile, change: Present, epoch: number): void {
  const { size } = change.stat;
  const content = file.read(0, buffer.subarray(0, size));
  file.checkUnchanged();
  tar.entry(entryOf(change, epoch, { size, sparse: undefined }));
  tar.data(content);
}

const TYPES: ReadonlyMap<number, NewEntry['type']> = new Map([
  [S_IFREG, 'file'],
  [S_IFDIR, 'directory'],
  [S_IFLNK, 'symlink'],
  [S_IFCHR, 'char'],
  [S_IFBLK, 'block'],
  [S_IFIFO, 'fifo'],
]);

type Content = Pick<NewEntry, 'size' | 'sparse'>;
const NO_CONTENT: Content = { size: 0, sparse: undefined };

function entryOf(
  { path, stat, xattrs, target, link }: Present,
  epoch: number,
  { size, sparse } = NO_CONTENT,
): NewEntry {
  const isLater = stat.mtime >= epoch;
  return {
    type: link === undefined ? TYPES.get(typeOf(stat))! : 'link',
    name: path === '' ? './' : path,
    linkName: link ?? target ?? '',
    mode: stat.mode & 0o7777,
    uid: stat.uid,
    gid: stat.gid,
    size,
    mtime: isLater ? epoch : stat.mtime,
    mtimeNs: isLater ? 0 : stat.mtimeNs,
    deviceMajor: isDevice(stat) ? majorOf(stat.rdev) : 0,
    deviceMinor: isDevice(stat) ? minorOf(stat.rdev) : 0,
    xattrs: link === undefined && xattrs.length > 0 ? xattrs : undefined,
    sparse,
  };
}

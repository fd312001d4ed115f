import { MicaError } from '../../errors.ts';
import type { Abortable, Bytes } from '../../io/bytes.ts';
import { isDirectory } from '../../layer/diff/attributes.ts';
import type { Change, Changes, Present } from '../../layer/diff/change.ts';
import { treeChanges } from '../../layer/diff/diff.ts';
import { archiveOfChanges } from '../../layer/diff/archive.ts';
import type { TreeStat, UnionTree } from '../../union/tree.ts';

export interface DirectoryLayerOptions extends Abortable {
  /** Whose everything is. Default 0:0; `keep`: whose it is here. */
  readonly owner?: Owner | 'keep' | undefined;
  /** In seconds since 1970: what was modified later counts as modified then. */
  readonly sourceDateEpoch?: number | undefined;
}

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/**
 * The archive of all that is in `directory`, on top of an image: sorted, sockets left out. Of
 * directories that the image has, attributes stay what they are there.
 *
 * @throws FAILED_PRECONDITION when a directory would take the place of a link to one
 */
export async function* directoryTar(
  directory: string,
  image: UnionTree,
  { owner = { uid: 0, gid: 0 }, sourceDateEpoch, signal }: DirectoryLayerOptions = {},
): Bytes {
  const { root, list } = await treeChanges(directory, { parents: [], signal });
  const changes: Changes = {
    root,
    list: list
      .filter((change) => change.path !== '')
      .map((change) => placed(owned(change, owner), image)),
  };
  yield* archiveOfChanges(changes, { sourceDateEpoch, signal });
}

function owned(change: Change, owner: Owner | 'keep'): Change {
  if (change.kind === 'deleted' || owner === 'keep') return change;
  return { ...change, stat: { ...change.stat, ...owner } };
}

function placed(change: Change, image: UnionTree): Change {
  if (change.kind === 'deleted' || !isDirectory(change.stat)) return change;
  const path = Buffer.from(change.path, 'latin1');
  if (!image.resolve(path, { follow: false }).exists) return change;
  const there = image.lstat(path);
  if (there.type === 'symlink') refuseLink(image, path, there);
  return there.type === 'directory' ? withAttributes(change, there) : change;
}

const withAttributes = (change: Present, there: TreeStat): Present => ({
  ...change,
  stat: {
    ...change.stat,
    mode: there.mode,
    uid: there.uid,
    gid: there.gid,
    mtime: there.mtime,
    mtimeNs: there.mtimeNs,
  },
  xattrs: there.xattrs.map(({ name, value }) => ({ name: byteString(name), value })),
});

const byteString = (text: string): string => Buffer.from(text).toString('latin1');

function refuseLink(image: UnionTree, path: Uint8Array, { target = '' }: TreeStat): void {
  const { path: to, exists } = image.resolve(path);
  if (!exists || image.stat(path).type !== 'directory') return;
  const name = Buffer.from(path).toString();
  throw new MicaError(
    'FAILED_PRECONDITION',
    `/${name} is a directory here and a link to ${target} in the image, which it would replace; put its files into ${to.slice(1)}/`,
  );
}

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Pace } from '../io/pace.ts';
import type { Changes } from '../layer/diff/change.ts';
import { treeChanges, upperChanges } from '../layer/diff/diff.ts';
import { type LayerTarOptions, writeLayerTar } from '../layer/diff/tar.ts';
import { aufs } from '../snapshot/drivers/aufs.ts';
import { overlay2 } from '../snapshot/drivers/overlay2.ts';
import { vfs } from '../snapshot/drivers/vfs.ts';
import type { Driver, Upper } from '../snapshot/driver.ts';
import { inUserNamespace } from '../sys/userns.ts';
import { describeDirectory } from './describe.ts';
import { within } from './mounted.ts';
import { unpackStack } from './unpack-stack.ts';

/** A writable snapshot on unpacked layers, after it was edited. */
export interface Edited {
  readonly changes: Changes;
  /** Directories of the layers, nearest first. */
  readonly parents: readonly string[];
  /** The whole tree, as text. */
  readonly tree: string;
  /** Where the changes lie, on an overlay; else the whole tree. */
  readonly upper: Upper;
}

/** Names of drivers; all but vfs keep changes apart. */
export type EditedBy = 'overlay2' | 'aufs' | 'vfs';

const DRIVERS: Readonly<Record<EditedBy, (store: string) => Driver>> = {
  overlay2: (store) => overlay2(store, { userxattr: inUserNamespace() }),
  aufs,
  vfs,
};

/**
 * Edits a writable snapshot of `layers` (archives, base first) and finds out what changed: on an
 * overlay by its upper directory, on copies by comparison.
 * @param work - a directory that does not exist yet
 */
export async function edited(
  layers: readonly Uint8Array[],
  kind: EditedBy,
  work: string,
  edit: (root: string) => void | Promise<void>,
): Promise<Edited> {
  const [store, target] = [join(work, 'layers'), join(work, 'target')];
  for (const path of [work, store, target]) mkdirSync(path);
  const driver = DRIVERS[kind](store);
  const below = (await unpackStack(layers, driver.form, store)).toReversed();
  const ids = below.map(({ directory }) => directory.slice(store.length + 1));
  const snapshot = { id: 'active', kind: 'active', parents: ids } as const;
  await driver.create(snapshot);
  let tree = '';
  const mounts = await driver.mounts!(snapshot);
  await within(mounts, target, edit);
  // Mounted anew: while a file that was copied up is partly forgotten, an overlay without an index
  // tells two inode numbers of one file.
  await within(mounts, target, (root) => {
    tree = describeDirectory(root);
  });
  const parents = below.map(({ directory }) => directory);
  const upper = driver.upper?.(snapshot) ?? {
    path: join(store, 'active/fs'),
    whiteouts: 'overlay',
  };
  const changes =
    kind === 'vfs'
      ? await treeChanges(upper.path, { parents })
      : await upperChanges(upper, { parents });
  return { changes, parents, tree, upper };
}

/** The archive of changes. */
export async function tarOfChanges(changes: Changes, options?: LayerTarOptions): Promise<Buffer> {
  const chunks: Buffer[] = [];
  const keep = (chunk: Uint8Array): void => void chunks.push(Buffer.from(chunk));
  await writeLayerTar(changes, keep, new Pace(), options);
  return Buffer.concat(chunks);
}

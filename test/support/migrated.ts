import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Engine } from '../../src/engine/engine.ts';
import type { StoredImage } from '../../src/engine/stored-image.ts';
import { listLayers } from '../../src/snapshot/chain.ts';
import { openDatabase } from '../../src/db/open.ts';
import { describeDirectory, describeTree } from '../../src/testing/describe.ts';

/** All that must be the same before and after a change of the driver. */
export async function contentOf(engine: Engine): Promise<object> {
  const images = await engine.images();
  return Promise.all(
    images
      .toSorted((a, b) => (a.id < b.id ? -1 : 1))
      .map(async (image) => ({
        image: withoutPlaces(image),
        tree: await treeOf(engine, image.id),
      })),
  );
}

const withoutPlaces = ({ layers, ...image }: StoredImage): object => ({
  ...image,
  layers: layers.map(({ directory, ...layer }) => ({ ...layer, isThere: directory !== '' })),
});

async function treeOf(engine: Engine, id: string): Promise<string> {
  await using tree = await engine.tree(id);
  // Not before it is read may it be closed.
  return await describeTree(tree);
}

/** The tree of each image as the kernel shows it, by image ID. */
export async function mountsOf(engine: Engine): Promise<Record<string, string>> {
  const trees: Record<string, string> = {};
  for (const { id } of await engine.images()) {
    const { target } = await engine.mount(id);
    try {
      trees[id] = describeDirectory(target);
    } finally {
      await engine.unmount(target);
    }
  }
  return trees;
}

/** The store is whole, all of it in the form of one driver, and nothing of another is left. */
export async function assertOnly(engine: Engine, driver: string): Promise<void> {
  assert.deepEqual((await engine.check()).problems, []);
  const info = await engine.info();
  assert.equal(info.driver, driver);
  assert.equal(info.migratingTo, undefined);
  using db = await openDatabase(engine.root, { readonly: true });
  const rows = listLayers(db);
  assert.deepEqual([...new Set(rows.map((row) => row.driver))], [driver]);
  const directories = readdirSync(join(engine.root, 'layers')).filter((name) => /^\d+$/.test(name));
  assert.deepEqual(directories.sort(), rows.map(({ id }) => String(id)).sort());
  const usage = await engine.usage();
  const parts = [...usage.blobs, ...usage.layers, ...usage.partials, ...usage.containers];
  assert.equal(
    usage.total,
    parts.reduce((sum, { bytes }) => sum + bytes, usage.metadata),
  );
  assert.equal(usage.reclaimable, 0);
}

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Database } from '../../db/database.ts';
import { Leases } from '../../db/leases.ts';
import { openDatabase } from '../../db/open.ts';
import { pack } from '../../layer/pack.ts';
import type { Driver } from '../../snapshot/driver.ts';
import { LayerRows } from '../../snapshot/layer-rows.ts';
import { type LayerStore, openLayerStore } from '../../snapshot/layers.ts';
import { type LocalSnapshotter, openSnapshotter } from '../../snapshot/local.ts';
import type { DriverSuite } from './suite.ts';

/** A store with its driver, put together as an engine does. */
export interface TestStore extends AsyncDisposable {
  readonly db: Database;
  readonly leases: Leases;
  readonly driver: Driver;
  readonly layers: LayerStore;
  readonly snapshots: LocalSnapshotter;
}

/** Opens the store in `root`, or makes one. @param options - what the environment said of its layers */
export async function openStore(
  root: string,
  { open }: Pick<DriverSuite, 'open'>,
  options: readonly string[],
): Promise<TestStore> {
  await using undo = new AsyncDisposableStack();
  const db = undo.use(await openDatabase(root));
  const leases = new Leases(db);
  const directory = join(root, 'layers');
  for (const path of [directory, join(root, 'leases')]) mkdirSync(path, { recursive: true });
  const rows = new LayerRows(db);
  const digestOf: Parameters<typeof open>[1]['digestOf'] = (id) => rows.indexDigest(Number(id));
  const driver = undo.use(await open(directory, { pack, digestOf, options }));
  const layers = await openLayerStore(db, leases, driver);
  const snapshots = undo.use(await openSnapshotter(db, leases, driver));
  const all = undo.move();
  return { db, leases, driver, layers, snapshots, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

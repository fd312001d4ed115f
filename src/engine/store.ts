import { openContentStore } from '../content/file-store.ts';
import { Leases } from '../db/leases.ts';
import { openDatabase } from '../db/open.ts';
import type { Pack } from '../snapshot/driver.ts';
import { chooseDriver } from '../snapshot/drivers/index.ts';
import { refuseForeignLayers } from '../snapshot/foreign-layers.ts';
import { openLayerStore } from '../snapshot/layers.ts';
import { openSnapshotter } from '../snapshot/local.ts';
import type { EngineConfig } from './config.ts';
import type { Registry } from '../registry/registry.ts';
import { originSource } from './blobs/origins.ts';
import type { Store } from './context.ts';

export interface OpenStoreOptions {
  /** Layers of another driver are what the caller is about to remove. */
  readonly tolerant?: boolean;
  /** Nothing is written, and nothing locked. */
  readonly readonly?: boolean;
}

/**
 * Opens a store for writing, making it where there is none, and finishes or undoes what dead
 * processes left. Everything opened belongs to `owner`.
 * @param registry - opened when a dropped blob has to be fetched again
 */
export async function openStore(
  config: EngineConfig,
  owner: AsyncDisposableStack,
  registry: () => Promise<Registry>,
  { tolerant = false, readonly = false }: OpenStoreOptions = {},
): Promise<Store> {
  const db = owner.use(await openDatabase(config.root, { readonly }));
  const leases = new Leases(db);
  const { driver: wanted, driverOptions } = config;
  const choice = await chooseDriver(db, { wanted, options: driverOptions, pack });
  const driver = owner.use(choice.driver);
  const layers = await openLayerStore(db, leases, driver);
  const snapshots = owner.use(await openSnapshotter(db, leases, driver));
  if (!tolerant && !readonly) refuseForeignLayers(db);
  const origin = originSource(db, registry);
  const content = owner.use(await openContentStore(db, { origin }));
  if (!readonly) leases.sweep();
  return { db, leases, content, layers, snapshots, choice };
}

/** Loaded when there is something to pack. */
const pack: Pack = async (...call) => (await import('../layer/pack.ts')).pack(...call);

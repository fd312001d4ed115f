import { setTimeout } from 'node:timers/promises';
import type { Database } from '../db/database.ts';
import type { Lease, Leases } from '../db/leases.ts';
import { MicaError } from '../errors.ts';
import type { Abortable } from '../io/bytes.ts';
import type { DiffId } from '../oci/digest.ts';
import { syncFilesIn } from '../sys/sync.ts';
import type { Driver, LayerFacts, Snapshot } from './driver.ts';
import { driverOf } from './drivers/index.ts';
import {
  isThisBoot,
  isUsable,
  layerDirectory,
  type LayerRecord,
  type LayerRow,
  LayerRows,
  toRecord,
} from './layer-rows.ts';
import { awaitedLayers } from './migration.ts';
import { SnapshotRows } from './snapshot-rows.ts';
import { holdTree } from './trees.ts';
import { Waiting, type WaitingRemovals } from './waiting.ts';

export interface OpenLayerOptions extends Abortable {
  /** `undefined`: known when it is built. */
  readonly diffId: DiffId | undefined;
  /** The layers below, nearest first: a driver that keeps full trees begins with a copy of them. */
  readonly parents?: readonly number[] | undefined;
  /** Whose work it is, if it has to be done. */
  readonly lease: Lease;
  /** Another operation builds the layer. Called repeatedly while waiting. */
  readonly onWait?: (() => void) | undefined;
}

/** A layer that somebody may put snapshots on, or — `building` — that the caller has to fill. */
export interface OpenedLayer extends LayerRecord {
  readonly state: 'building' | 'built' | 'ready';
}

/** Opens the layers of a store, undoing or finishing what dead processes left. */
export async function openLayerStore(
  db: Database,
  leases: Leases,
  driver: Driver,
): Promise<LayerStore> {
  const layers = new LayerStore(db, leases, driver);
  if (!db.readonly) await layers.recover();
  return layers;
}

/**
 * Unpacked layers, each kept once.
 *
 *     building ──built──▶ built ──ready──▶ ready ──condemn──▶ removing
 *
 * *Built*: complete and verified; any process may use it as long as the machine does not stop.
 * *Ready*: also durable, together with the image that it belongs to.
 */
export class LayerStore {
  readonly #db: Database;
  readonly #rows: LayerRows;
  readonly #leases: Leases;
  readonly #driver: Driver;
  /** Trees that are being filled, by number. */
  readonly #filling = new Map<number, AsyncDisposable>();
  #waiting = new Waiting();

  constructor(db: Database, leases: Leases, driver: Driver) {
    this.#db = db;
    this.#rows = new LayerRows(db);
    this.#leases = leases;
    this.#driver = driver;
  }

  /**
   * The layer of this key: one that is there, or an empty directory that the caller alone fills and
   * then declares {@link built}, or {@link abandon}s. Waits while another living operation builds it.
   */
  async open(key: string, options: OpenLayerOptions): Promise<OpenedLayer> {
    const { signal } = options;
    for (let pause = 5; ; pause = Math.min(pause * 2, 200)) {
      signal?.throwIfAborted();
      const row = this.#db.transaction(() => this.#take(key, options));
      if (row?.state === 'building') await this.#prepare(row, options);
      if (row !== undefined) return this.#record(row) as OpenedLayer;
      options.onWait?.();
      await setTimeout(pause, undefined, { ...(signal && { signal }) }).catch(() => undefined);
    }
  }

  /** Like {@link open}, of a layer whose key is known when it is filled: always one to be built. */
  async begin(options: Pick<OpenLayerOptions, 'lease' | 'signal'>): Promise<OpenedLayer> {
    const lease = options.lease.id;
    const row = this.#rows.insert({ driver: this.#driver, state: 'building', lease });
    await this.#prepare(row, { ...options, diffId: undefined });
    return this.#record(row) as OpenedLayer;
  }

  /** The caller has filled the layer: from now on everybody may use it. */
  async built(id: number, facts: LayerFacts): Promise<void> {
    await this.#filled(id);
    if (!this.#rows.built(id, facts)) throw notBuilding(id);
  }

  /**
   * The same of a layer that was {@link begin begun}, under the key that it turned out to have.
   * @returns the number of what has the key: another one, if that was there before
   */
  async builtAs(id: number, key: string, facts: LayerFacts): Promise<number> {
    await this.#filled(id);
    const same = this.#db.transaction(() => {
      const found = this.#rows.find(this.#driver.name, key);
      if (found !== undefined && isUsable(found)) return found;
      if (found !== undefined && this.#isDead(found)) this.#rows.condemn(found);
      // One that is still being built keeps the key: ours then is a copy that nobody else finds.
      const isFree = this.#rows.find(this.#driver.name, key) === undefined;
      if (!this.#rows.built(id, facts, isFree ? key : undefined)) throw notBuilding(id);
      return undefined;
    });
    if (same === undefined) return id;
    await this.abandon(id);
    return same.id;
  }

  /**
   * The files of a layer were replaced by what the same tar gives now. What is mounted of the old
   * ones stays so for who has it; who mounts from now on gets the new ones.
   */
  async replaced(id: number, facts: LayerFacts): Promise<void> {
    this.#db.transaction(() => this.#rows.reindexed(id, facts), { durable: true });
    const snapshots = new SnapshotRows(this.#db);
    const others = (one: Snapshot): Snapshot => ({
      id: one.id,
      kind: one.kind,
      parents: one.parents.filter((parent) => parent !== String(id)),
    });
    await this.#driver.release?.(() => snapshots.mountable().map(others));
  }

  /**
   * Makes built layers ready. Part of the caller's durable transaction, after `syncStore`.
   * @throws NOT_FOUND when one is not there (any more): then nothing may name it
   */
  ready(ids: readonly number[]): void {
    this.#db.assertTransaction();
    for (const id of ids)
      if (!this.#rows.ready(id))
        throw new MicaError('NOT_FOUND', `layer ${id} is not in the store (any more); try again`);
  }

  /** Gives up a layer that the caller was building, and the space it takes: it may be what was lacking. */
  async abandon(id: number): Promise<void> {
    const row = this.#rows.get(id);
    await this.#letGo(id);
    if (row?.state !== 'building' || !this.#rows.condemn(row)) return;
    await this.#erase(row);
    await this.purge();
  }

  /** The layer of this key, if snapshots can be put on it now. */
  find(key: string): LayerRecord | undefined {
    const row = this.#rows.find(this.#driver.name, key);
    return row && isUsable(row) ? this.#record(row) : undefined;
  }

  /** Whether a layer of this diffID was seen that depends on what is below it: a key of its own for each chain. */
  isDependent(diffId: DiffId): boolean {
    return this.#rows.knownDependent(diffId);
  }

  /**
   * What a collector may take: layers that no snapshot stands on and whose key is not in `used`,
   * except what was built within the last day, and what is there for a migration. In the transaction that condemns them.
   */
  unused(used: ReadonlySet<string>): LayerRecord[] {
    this.#db.assertTransaction();
    const awaited = new Set(awaitedLayers(this.#db));
    return this.#rows
      .unused()
      .filter(({ id, key }) => (key === null || !used.has(key)) && !awaited.has(id))
      .map((row) => this.#record(row));
  }

  /** Says in the collector's transaction that these layers are going. {@link delete} does the rest. */
  condemn(ids: readonly number[]): void {
    this.#db.assertTransaction();
    for (const id of ids) {
      const row = this.#rows.get(id);
      if (row !== undefined) this.#rows.condemn(row);
    }
  }

  /**
   * Removes a condemned layer; what is already gone succeeds.
   * @param options - `isPatient`: one that cannot be removed now {@link waiting waits}
   */
  async delete(
    id: number,
    { isPatient = false }: { readonly isPatient?: boolean } = {},
  ): Promise<void> {
    const row = this.#rows.get(id);
    if (row?.state !== 'removing') return;
    if (isPatient) await this.#waiting.attempt(row.driver, () => this.#erase(row));
    else await this.#erase(row);
  }

  /** Frees the space of what was removed. May take long; nobody waits for it. */
  async purge(options: Abortable = {}): Promise<void> {
    await this.#driver.purge?.(options);
  }

  /** Removed layers that could not be taken away when it was last tried; the next who opens the store tries again. */
  get waiting(): readonly WaitingRemovals[] {
    return this.#waiting.all;
  }

  /**
   * Undoes what dead processes were building, and finishes what they were removing. What lives is
   * not touched, and what cannot be removed now {@link waiting waits}.
   */
  async recover(): Promise<void> {
    this.#waiting = new Waiting();
    for (const row of this.#rows.unsettled())
      if (row.state === 'removing' || (isLost(row) && this.#isDead(row) && this.#rows.condemn(row)))
        await this.#waiting.attempt(row.driver, () => this.#erase(row));
  }

  /** In a transaction. `undefined`: somebody else is at it. */
  #take(key: string, { lease, diffId }: OpenLayerOptions): LayerRow | undefined {
    const driver = this.#driver;
    const row = this.#rows.find(driver.name, key);
    if (row !== undefined && isUsable(row)) return row;
    if (row !== undefined && !this.#isDead(row)) return undefined;
    if (row?.state === 'building' && this.#rows.claim(row, lease.id)) return this.#rows.get(row.id);
    // Built before the machine stopped: some of it may not have reached the disk.
    if (row !== undefined) this.#rows.condemn(row);
    return this.#rows.insert({ driver, state: 'building', lease: lease.id, key, diffId });
  }

  #isDead({ lease }: LayerRow): boolean {
    return lease === null || !this.#leases.isAlive(lease);
  }

  /** Empties what a dead builder left. */
  async #prepare({ id }: LayerRow, { parents = [], signal }: OpenLayerOptions): Promise<void> {
    const layer = { id: String(id), kind: 'committed', parents: parents.map(String) } as const;
    try {
      await this.#driver.remove(layer);
      await this.#driver.create(layer, { signal });
      this.#filling.set(id, await holdTree(this.#db, this.#driver, layer, 'rw'));
    } catch (error) {
      await this.abandon(id);
      throw error;
    }
  }

  async #filled(id: number): Promise<void> {
    syncFilesIn(layerDirectory(this.#db, id));
    await this.#letGo(id);
    await this.#driver.filled?.({ id: String(id), kind: 'committed', parents: [] });
  }

  /** Nobody writes into the tree any more. */
  async #letGo(id: number): Promise<void> {
    await this.#filling.get(id)?.[Symbol.asyncDispose]();
    this.#filling.delete(id);
  }

  async #erase(row: LayerRow): Promise<void> {
    const gone = { id: String(row.id), kind: 'committed', parents: [] } as const;
    if (row.driver === this.#driver.name) await this.#driver.remove(gone);
    else {
      // What a migration left.
      await using other = await driverOf(this.#db, row);
      if (other === undefined)
        throw new MicaError(
          'FAILED_PRECONDITION',
          `this version of Mica does not have storage driver ${row.driver}; one that has it removes layer ${row.id}`,
        );
      await other.remove(gone);
      await other.purge?.();
    }
    this.#rows.remove(row.id);
  }

  #record(row: LayerRow): LayerRecord {
    return toRecord(row, layerDirectory(this.#db, row.id));
  }
}

/** Half done, or done before the machine stopped. */
const isLost = (row: LayerRow): boolean =>
  row.state === 'building' || (row.state === 'built' && !isThisBoot(row));

const notBuilding = (id: number): MicaError =>
  new MicaError('FAILED_PRECONDITION', `layer ${id} is not being built`);

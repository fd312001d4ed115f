import type { Database } from '../db/database.ts';
import type { Lease, Leases } from '../db/leases.ts';
import { syncStore } from '../db/sync.ts';
import { MicaError } from '../errors.ts';
import type { Abortable } from '../io/bytes.ts';
import type { Mount } from '../sys/mount-data.ts';
import { type Driver, isOfChain, type LayerFacts, type Usage } from './driver.ts';
import { isUsable, layerDirectory, LayerRows } from './layer-rows.ts';
import { staysMountedFrom } from './mounted.ts';
import { forget, record, type Recorded } from './record.ts';
import { type Labels, type SnapshotRow, SnapshotRows } from './snapshot-rows.ts';
import { Waiting } from './waiting.ts';
import type {
  CommitOptions,
  PrepareOptions,
  SnapshotInfo,
  SnapshotOptions,
  Snapshotter,
} from './snapshotter.ts';

/** The snapshotter of this store, with what the engine needs of it besides. */
export interface LocalSnapshotter extends Snapshotter {
  remove(key: string, options?: RemoveOptions): Promise<void>;
  /**
   * Names a layer as it stands on `parent`: a committed snapshot, without physical work. What is
   * there under this name stays. In the caller's transaction, in which the layer became ready.
   */
  record(name: string, on: Recorded): void;
  /**
   * Forgets committed snapshots, but not their layers, in the collector's transaction. One that
   * others stand on stays, unless they go, too.
   * @returns the names that went
   */
  forget(names: readonly string[]): string[];
  /** Undoes or finishes what dead processes left. What lives is not touched. */
  recover(): Promise<void>;
}

export interface RemoveOptions extends Abortable {
  /** `false`: a power loss may bring it back, without its files, and who made it knows what to do then. Default: true. */
  readonly durable?: boolean | undefined;
}

/** Opens the snapshotter of a store, undoing or finishing what dead processes left. */
export async function openSnapshotter(
  db: Database,
  leases: Leases,
  driver: Driver,
): Promise<LocalSnapshotter> {
  const snapshotter = new DatabaseSnapshotter(db, leases, driver);
  if (!db.readonly) await snapshotter.recover();
  return snapshotter;
}

/**
 * The one snapshotter; what differs between storage technologies is its {@link Driver}.
 *
 * Each operation is intent → physical work → outcome: two short transactions around work that may
 * take minutes and holds no lock. Rows in between name our lease; once our process is gone,
 * {@link recover} of any other repeats or undoes the work.
 */
class DatabaseSnapshotter implements LocalSnapshotter {
  readonly #db: Database;
  readonly #leases: Leases;
  readonly #driver: Driver;
  readonly #rows: SnapshotRows;
  readonly #layers: LayerRows;
  #lease: Lease | undefined;

  constructor(db: Database, leases: Leases, driver: Driver) {
    this.#db = db;
    this.#leases = leases;
    this.#driver = driver;
    this.#rows = new SnapshotRows(db);
    this.#layers = new LayerRows(db);
  }

  prepare(key: string, parent: string, options?: PrepareOptions): Promise<readonly Mount[]> {
    return this.#create('active', key, parent, options);
  }

  view(key: string, parent: string, options?: SnapshotOptions): Promise<readonly Mount[]> {
    return this.#create('view', key, parent, options);
  }

  async commit(name: string, key: string, options: CommitOptions = {}): Promise<void> {
    options.signal?.throwIfAborted();
    const lease = this.#mine();
    await this.#refuseMounted(this.#rows.get(key, 'active'), 'commit');
    const row = this.#db.transaction(() => {
      const active = this.#rows.get(key, 'active');
      this.#refuseTaken(name);
      const parent = this.#newParent(active, options.parent);
      const { diffId, labels } = options;
      this.#rows.intendCommit(active.id, { target: name, parent, diffId, lease, labels });
      return this.#rows.byId(active.id)!;
    });
    await this.#seal(row);
  }

  async remove(key: string, { signal, durable = true }: RemoveOptions = {}): Promise<void> {
    signal?.throwIfAborted();
    const row = this.#rows.get(key);
    const child = this.#rows.childOf(row.id);
    if (child !== undefined)
      throw new MicaError(
        'FAILED_PRECONDITION',
        `snapshot ${key} has child ${child}; remove that first`,
      );
    await this.#refuseMounted(row, 'remove');
    await this.#erase(row, { durable });
  }

  async mounts(key: string, { signal }: Abortable = {}): Promise<readonly Mount[]> {
    signal?.throwIfAborted();
    const row = this.#rows.get(key);
    if (row.kind !== 'committed') return this.#mountsOf(row);
    throw new MicaError('FAILED_PRECONDITION', `snapshot ${key} is committed; mount a view of it`);
  }

  async stat(key: string, { signal }: Abortable = {}): Promise<SnapshotInfo> {
    signal?.throwIfAborted();
    return this.#rows.info(this.#rows.get(key));
  }

  async update(key: string, labels: Labels, { signal }: Abortable = {}): Promise<SnapshotInfo> {
    signal?.throwIfAborted();
    return this.#db.transaction(() => {
      this.#rows.relabel(this.#rows.get(key).id, labels);
      return this.#rows.info(this.#rows.get(key));
    });
  }

  async usage(key: string, options: Abortable = {}): Promise<Usage> {
    options.signal?.throwIfAborted();
    return this.#driver.usage(this.#rows.physical(this.#rows.get(key)), options);
  }

  async inspect(
    key: string,
    { signal }: Abortable = {},
  ): Promise<{ Name: string; Data: Readonly<Record<string, string>> }> {
    signal?.throwIfAborted();
    const data = await this.#driver.inspect(this.#rows.physical(this.#rows.get(key)));
    return { Name: this.#driver.name, Data: data };
  }

  async *list({ signal }: Abortable = {}): AsyncIterable<SnapshotInfo> {
    signal?.throwIfAborted();
    for (const row of this.#rows.list()) yield this.#rows.info(row);
  }

  record(name: string, on: Recorded): void {
    record(this.#db, name, on);
  }

  forget(names: readonly string[]): string[] {
    return forget(this.#db, names);
  }

  async recover(): Promise<void> {
    for (const row of this.#rows.unsettled()) {
      if (row.lease !== null && this.#leases.isAlive(row.lease)) continue;
      if (!this.#rows.claim(row, this.#mine())) continue;
      if (row.state !== 'committing') await this.#erase(row, { isPatient: true });
      // What cannot be finished now keeps nobody from opening the store.
      else await new Waiting().attempt(this.#driver.name, () => this.#seal(row, { isAnew: true }));
    }
    await this.#release();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#lease?.[Symbol.dispose]();
    this.#lease = undefined;
  }

  async #create(
    kind: 'active' | 'view',
    key: string,
    parent: string,
    { labels = {}, maxSize, signal }: PrepareOptions = {},
  ): Promise<readonly Mount[]> {
    signal?.throwIfAborted();
    this.#refuseMountless();
    const lease = this.#mine();
    const row = this.#db.transaction(() => {
      const base = parent === '' ? null : this.#rows.get(parent, 'committed').id;
      this.#refuseTaken(key);
      const layer = this.#layers.insert({ driver: this.#driver, state: 'active', lease }).id;
      return this.#rows.insert({
        name: key,
        kind,
        state: 'creating',
        parent: base,
        layer,
        labels,
        lease,
      });
    });
    try {
      const snapshot = this.#rows.physical(row);
      await this.#driver.create(snapshot, { signal, maxSize });
      const mounts = await this.#mountsOf(row);
      this.#rows.settle(row.id);
      return mounts;
    } catch (error) {
      await this.#erase(row);
      throw error;
    }
  }

  /**
   * Can be repeated: nothing has changed for others until the last transaction.
   * @param options - `isAnew`: somebody who died had begun it
   */
  async #seal(row: SnapshotRow, { isAnew = false }: { isAnew?: boolean } = {}): Promise<void> {
    const facts = await this.#freeze(row, isAnew);
    await syncStore(this.#db);
    const spare = this.#db.transaction(() => this.#publish(row, facts), DURABLE);
    if (spare !== undefined) await this.#eraseLayer(spare);
    await this.#release();
  }

  /**
   * What cannot be frozen is active again, as if nobody had wanted to commit it. Where whole trees are
   * frozen it may be so already by who died: then it waits until this can be done.
   */
  async #freeze(row: SnapshotRow, isAnew: boolean): Promise<LayerFacts | undefined> {
    try {
      const frozen = this.#rows.physical({ ...row, parent: row.target_parent });
      return await this.#driver.seal?.(frozen);
    } catch (error) {
      if (!isAnew || this.#driver.form === 'tar') this.#rows.withdrawCommit(row.id);
      throw error;
    }
  }

  /**
   * A layer that was packed is what came out, whatever the caller said that it would be.
   * @returns our own layer, when the same one was there already
   */
  #publish(row: SnapshotRow, facts: LayerFacts | undefined): number | undefined {
    const diffId = facts?.diffId ?? row.target_diff_id ?? undefined;
    const ofChain = isOfChain(this.#driver.form) || facts?.dependent === true;
    const key = diffId && (ofChain ? row.target! : diffId);
    const same = key === undefined ? undefined : this.#layers.find(this.#driver.name, key);
    if (same !== undefined && isUsable(same)) {
      this.#layers.ready(same.id);
      this.#rows.committed(row.id, same.id);
      this.#layers.condemn(this.#layers.get(row.layer)!);
      return row.layer;
    }
    // One that is still being built keeps the key: ours then is a copy that nobody else finds.
    this.#layers.seal(row.layer, { key: same === undefined ? key : undefined, diffId, facts });
    this.#rows.committed(row.id, row.layer);
    return undefined;
  }

  /**
   * Its layer goes with it, unless others stand on that or are about to.
   * @param options - `isPatient`: one that cannot be removed now waits, as any that is being removed does
   */
  async #erase(
    row: SnapshotRow,
    { durable = true, isPatient = false }: { durable?: boolean; isPatient?: boolean } = {},
  ): Promise<void> {
    const gone = this.#db.transaction(
      () => {
        if (this.#rows.childOf(row.id) !== undefined)
          throw new MicaError('FAILED_PRECONDITION', `snapshot ${row.name} has a new child`);
        this.#rows.remove(row.id);
        const layer = this.#layers.get(row.layer);
        if (layer === undefined || this.#layers.isUsed(layer.id)) return false;
        if (layer.key !== null && this.#leases.held('layer').has(layer.key)) return false;
        return this.#layers.condemn(layer);
      },
      { durable },
    );
    if (gone && isPatient)
      await new Waiting().attempt(this.#driver.name, () => this.#eraseLayer(row.layer));
    else if (gone) await this.#eraseLayer(row.layer);
    await this.#release();
  }

  /** Mounts of layers end when nothing that could be mounted stands on them any more. */
  async #release(): Promise<void> {
    await this.#driver.release?.(() => this.#rows.mountable());
  }

  async #eraseLayer(id: number): Promise<void> {
    await this.#driver.remove({ id: String(id), kind: 'active', parents: [] });
    this.#layers.remove(id);
  }

  #refuseTaken(name: string): void {
    if (this.#rows.find(name) !== undefined)
      throw new MicaError('ALREADY_EXISTS', `snapshot ${name} already exists`);
  }

  async #refuseMounted(row: SnapshotRow, what: 'commit' | 'remove'): Promise<void> {
    const { kind, name, layer } = row;
    if (kind !== 'active') return;
    const tree = await this.#driver.tree?.(this.#rows.physical(row), 'rw');
    // What nobody uses may go from under him, where its file system is not held by that; to be frozen,
    // it must not be writable anywhere.
    const unused = what === 'remove' && tree === undefined ? 'ignored' : 'counts';
    const target = await staysMountedFrom(layerDirectory(this.#db, layer), { tree, unused });
    if (target !== undefined)
      throw new MicaError(
        'FAILED_PRECONDITION',
        `${what} ${name}: it is mounted on ${target}; unmount that first`,
      );
  }

  #refuseMountless(): void {
    if (this.#driver.mounts === undefined)
      throw new MicaError(
        'NOT_IMPLEMENTED',
        `storage driver ${this.#driver.name} mounts nothing here; read images with mica ls, cat and cp, or change the driver of the store with mica migrate --driver NAME (erofs as root; overlay2 as root, or as a user with subordinate ids)`,
      );
  }

  async #mountsOf(row: SnapshotRow): Promise<readonly Mount[]> {
    return (await this.#driver.mounts?.(this.#rows.physical(row))) ?? [];
  }

  #newParent({ parent }: SnapshotRow, wanted: string | undefined): number | null {
    if (wanted === undefined) return parent;
    const id = wanted === '' ? null : this.#rows.get(wanted, 'committed').id;
    if (id !== parent && this.#driver.upper === undefined)
      throw new MicaError(
        'NOT_IMPLEMENTED',
        `storage driver ${this.#driver.name} keeps whole trees: a snapshot cannot be committed onto another parent`,
      );
    return id;
  }

  /** Opened when there is work for it: who only reads needs none. */
  #mine(): string {
    this.#lease ??= this.#leases.open('snapshots');
    return this.#lease.id;
  }
}

/** Also what takes something away: files that are gone must not come back as rows after a power loss. */
const DURABLE = { durable: true };

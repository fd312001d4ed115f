import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { MicaError } from '../../../errors.ts';
import { holdWhenFree } from '../../../sys/alive.ts';
import { findDevice, listDevices } from '../../../sys/device-mapper.ts';
import { errnoOf, fromNode } from '../../../sys/errno.ts';
import { freeSpace } from '../../../sys/features.ts';
import {
  activatePool,
  type ActivePool,
  deactivatePool,
  makeBacking,
  removeBacking,
  poolName,
} from './activation.ts';
import {
  backingOf,
  baseSizeOf,
  type DeviceMapperOptions,
  fileSystemOf,
  refuseOthers,
} from './settings.ts';
import {
  newState,
  readState,
  removeState,
  removeUnfinished,
  type State,
  type Volume,
  writeState,
} from './state.ts';
import { isReadOnly, statusOfPool, thinPool } from './thin-pool.ts';
import { deleteVolume, type Pool, type Save, settle } from './transactions.ts';

/** What must be free on the disk below a pool of files, in bytes. */
const LEAST = 128 * 2 ** 20;

/** The pool of a store and what is known of it, while nobody else changes either. */
export interface Session {
  readonly pool: Pool;
  readonly active: ActivePool;
  readonly save: Save;
  state: State;
}

/** One at a time may work on a pool, among all processes: what two calls of the device mapper mean is in a file. */
export class PoolSessions {
  readonly #directory: string;
  readonly #options: DeviceMapperOptions;

  /** @param directory - the driver's own; made when the pool is */
  constructor(directory: string, options: DeviceMapperOptions) {
    this.#directory = directory;
    this.#options = options;
  }

  /** What is known without asking: it may change at any moment. `undefined`: there is no pool yet. */
  read(): State | undefined {
    return readState(this.#directory);
  }

  /**
   * Lets `work` use the pool, which serves from then on; there is one afterwards.
   * @throws DATA_LOSS for one that is not the one that the store knows
   */
  async use<T>(work: (session: Session) => Promise<T>): Promise<T> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 }).catch((error: unknown) => {
      throw fromNode(error);
    });
    using _ = await this.#lock();
    removeUnfinished(this.#directory);
    return await work(this.#open());
  }

  /** The same where there is a pool; else nothing happens. */
  async useIfThere<T>(work: (session: Session) => Promise<T>): Promise<T | undefined> {
    return this.read() === undefined ? undefined : this.use(work);
  }

  /** Lets `work` look at what serves, without making anything serve. */
  async locked(work: (state: State, save: Save) => Promise<void>): Promise<void> {
    if (this.read() === undefined) return;
    using _ = await this.#lock();
    const state = this.read();
    if (state !== undefined) await work(state, this.#save);
  }

  /** What a pool of files has no room for on the disk below is lost, as in a full pool. @throws RESOURCE_EXHAUSTED */
  refuseFullDisk({ backing }: State): void {
    if (backing.kind !== 'loop') return;
    const { bytes } = freeSpace(this.#directory);
    if (bytes >= LEAST) return;
    throw new MicaError(
      'RESOURCE_EXHAUSTED',
      `thin pool of files in ${this.#directory}: the file system has ${bytes} bytes left, and should have ${LEAST}; free some space, for example with \`mica prune\``,
    );
  }

  /** Ends the pool's service where nothing stands on it. Under the lock. */
  rest({ backing, tag }: State): void {
    if (activeDevices(tag).length > 0 || findDevice(poolName(tag)) === undefined) return;
    try {
      deactivatePool(backing, tag);
    } catch (error) {
      if (errnoOf(error) !== 'EBUSY') throw error;
    }
  }

  /** Takes away a pool that nothing is in: of one that is somebody else's, what was ours. Under the lock. */
  dismantle({ state, pool, save }: Session): void {
    const { backing, base, tag } = state;
    if (backing.kind !== 'loop' && base !== undefined) {
      const { base: _, ...rest } = state;
      const gone: State = { ...rest, removed: [base] };
      save(gone);
      deleteVolume(pool, gone, save, base.device);
    }
    deactivatePool(backing, tag);
    removeState(this.#directory);
    removeBacking(backing, this.#directory);
  }

  #lock(): Promise<Disposable> {
    return holdWhenFree(join(this.#directory, 'lock'));
  }

  readonly #save: Save = (state) => writeState(this.#directory, state);

  #open(): Session {
    const save = this.#save;
    const known = this.read();
    if (known !== undefined) refuseOthers(known, this.#options);
    const begun = known ?? this.#begin();
    const active = this.#activate(begun);
    const pool = thinPool(active.device, active.label);
    if (known === undefined) save(takeOver(begun, active));
    const current = known ?? this.read()!;
    // What is unfinished waits while the pool takes nothing: its layers can be read.
    const waits = isReadOnly(statusOfPool(active.device, { flushes: false }));
    return { pool, active, save, state: waits ? current : settle(pool, current, save) };
  }

  /** One that was without room for metadata begins anew where nothing stands on it: now there may be some. */
  #activate({ backing, tag }: State): ActivePool {
    const active = activatePool(backing, tag, this.#directory);
    const status = statusOfPool(active.device, { flushes: false });
    const isStuck = isReadOnly(status) && !status.needsCheck && backing.kind !== 'pool';
    if (!isStuck || activeDevices(tag).length > 0) return active;
    deactivatePool(backing, tag);
    return activatePool(backing, tag, this.#directory);
  }

  #begin(): State {
    const options = this.#options;
    const backing = backingOf(options);
    makeBacking(backing, this.#directory);
    const [fileSystem, baseSize] = [fileSystemOf(options), baseSizeOf(options)];
    return newState({ backing, fileSystem, baseSize, transaction: 0 });
  }
}

/** A pool that holds something is somebody's. */
function takeOver(state: State, { device, label }: ActivePool): State {
  const { data, transaction } = statusOfPool(device);
  if (data.used === 0) return { ...state, transaction };
  deactivatePool(state.backing, state.tag);
  throw new MicaError(
    'FAILED_PRECONDITION',
    `thin pool ${label} has ${data.used} blocks of data already: it belongs to somebody; give an empty one (for one of two devices: zero the first 4 KiB of the metadata device)`,
  );
}

const prefix = (tag: string): string => `mica-${tag}-`;

/** Name of a thin device while it is active. */
export const deviceName = (tag: string, { device }: Pick<Volume, 'device'>): string =>
  `${prefix(tag)}${device}`;

/** Names of our thin devices that are active. */
export const activeDevices = (tag: string): string[] =>
  existsSync('/dev/mapper/control')
    ? listDevices().filter((name) => name.startsWith(prefix(tag)) && name !== poolName(tag))
    : [];

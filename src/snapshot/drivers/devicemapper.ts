import { dirname } from 'node:path';
import { MicaError } from '../../errors.ts';
import type { SharedMount } from '../../sys/mount-data.ts';
import type { CreateOptions, Driver, Snapshot } from '../driver.ts';
import { mountOptions } from './devicemapper/file-system.ts';
import { HeldDevices } from './devicemapper/held-devices.ts';
import { activeDevices, deviceName, PoolSessions, type Session } from './devicemapper/session.ts';
import { type DeviceMapperOptions, MIN_FREE_SPACE } from './devicemapper/settings.ts';
import { directoryOf, type FileSystem, type State } from './devicemapper/state.ts';
import { poolFacts } from './devicemapper/facts.ts';
import { refuseFull, statusOfPool } from './devicemapper/thin-pool.ts';
import { flushTrees } from './devicemapper/trees.ts';
import { ownHolding } from './devicemapper/usage.ts';
import {
  activateLayer,
  deleteRemoved,
  ensureBase,
  forgetVolume,
  freezeVolume,
  keep,
  makeVolume,
} from './devicemapper/volumes.ts';
import { Directories } from './directories.ts';
import { shownBy, TreeMounts } from './tree-mounts.ts';
import { removeDevice } from '../../sys/device-mapper.ts';

export type { DeviceMapperOptions } from './devicemapper/settings.ts';

/**
 * Thin devices of a pool of the device mapper: a layer is a snapshot of the one below it, and shares
 * with it every block that it does not change. Each has a file system, which is mounted while it is needed.
 */
export function devicemapper(root: string, options: DeviceMapperOptions = {}): Driver {
  const { minFreeSpace = MIN_FREE_SPACE } = options;
  const dirs = new Directories(root);
  const trees = new TreeMounts(root);
  const sessions = new PoolSessions(directoryOf(dirname(root)), options);
  const held = new HeldDevices();

  async function create(snapshot: Snapshot, { maxSize }: CreateOptions): Promise<void> {
    const { id, parents } = snapshot;
    await sessions.use(async (session) => {
      const [parent] = parents;
      refuseFull(statusOfPool(session.active.device), session.active.label, minFreeSpace);
      sessions.refuseFullDisk(session.state);
      const base = await ensureBase(session);
      const origin = parent === undefined ? base : session.state.layers[parent];
      if (origin?.end === undefined)
        throw new MicaError(
          'FAILED_PRECONDITION',
          `layer ${parent} has no thin device that is frozen, and cannot be built on; remove the images that use it and pull them again`,
        );
      refuseLimit(maxSize, session.state.fileSystem);
      await makeVolume(session, { layer: id, origin, maxSize });
    });
    trees.make(id);
  }

  async function freeze({ id }: Snapshot): Promise<undefined> {
    await sessions.use(async (session) => {
      for (const lost of await flushTrees(session.state, [id])) tear(session, lost);
      await trees.drop(id);
      held.close(id);
      await freezeVolume(session, id);
    });
  }

  /** @param access - of a mount of a layer that is frozen, or to be filled; an active one is always written to */
  async function tree(snapshot: Snapshot, access: 'ro' | 'rw'): Promise<SharedMount> {
    const id = shownBy(snapshot);
    return sessions.use(async (session) => {
      const active = activateLayer(session, id);
      held.hold(id, active);
      const { fileSystem } = session.state;
      const how = snapshot.kind === 'active' ? 'rw' : access;
      return {
        type: fileSystem,
        source: active.node,
        options: mountOptions(fileSystem, how),
        target: trees.point(id),
      };
    });
  }

  /** What of unfrozen layers that are about to be unmounted did not reach the pool is written down. */
  async function flush(needed: () => ReadonlySet<string>): Promise<void> {
    const state = sessions.read();
    if (state === undefined || activeDevices(state.tag).length === 0) return;
    const needs = needed();
    const going = Object.keys(state.layers).filter((id) => !needs.has(id));
    const lost = await flushTrees(state, going);
    if (lost.length > 0)
      await sessions.use(async (session) => lost.forEach((id) => tear(session, id)));
  }

  /** What nobody needs stops serving; what is in use otherwise does so with its last user. */
  const retire = (needed: () => ReadonlySet<string>): Promise<void> =>
    sessions.locked(async (state) => {
      const busy = new Set([...needed()].map((id) => nameOf(state, id)));
      for (const name of activeDevices(state.tag))
        if (!busy.has(name)) removeDevice(name, { deferred: true });
      sessions.rest(state);
    });

  return {
    name: 'devicemapper',
    form: 'direct',

    async create(snapshot, wanted = {}) {
      if (snapshot.kind !== 'view' || snapshot.parents.length === 0) await create(snapshot, wanted);
    },

    seal: freeze,
    filled: freeze,

    async remove({ id }) {
      await trees.drop(id);
      dirs.remove(id);
      const known = sessions.read();
      // Of one whose maker was killed the pool may have more than was written down.
      const isIntended = known?.intent?.kind === 'create' && known.intent.layer === id;
      if (known?.layers[id] === undefined && !isIntended) return;
      await sessions.use(async (session) => {
        held.close(id);
        forgetVolume(session, id);
      });
    },

    async purge({ signal } = {}) {
      await dirs.purge({ ...(signal && { signal }) });
      const known = sessions.read();
      if (known === undefined || (known.removed.length === 0 && !isEmpty(known))) return;
      await sessions.use(async (session) => {
        const { kind } = session.state.backing;
        await deleteRemoved(session, { discard: options.discard ?? kind === 'loop', signal });
        if (isEmpty(session.state)) sessions.dismantle(session);
        else sessions.rest(session.state);
      });
    },

    mounts: async (snapshot) => [
      await tree(snapshot, snapshot.kind === 'active' ? 'rw' : 'ro'),
      trees.bind(snapshot),
    ],
    tree,

    async release(mountable) {
      const needed = (): ReadonlySet<string> => new Set(mountable().map(shownBy));
      held.closeMounted();
      await flush(needed);
      await trees.release(mountable);
      await retire(needed);
    },

    async usage(snapshot, usage) {
      const own = await dirs.usage(snapshot.id, usage);
      const { size, inodes } = await ownHolding(sessions, snapshot.id);
      return { size: own.size + size, inodes: own.inodes + inodes };
    },

    async inspect(snapshot) {
      const state = sessions.read();
      const volume = state?.layers[shownBy(snapshot)];
      if (state === undefined || volume === undefined) return {};
      const { device, sectors } = volume;
      return {
        DeviceId: String(device),
        DeviceName: deviceName(state.tag, volume),
        DeviceSize: String(sectors * 512),
      };
    },

    status: () => poolFacts(sessions, options),

    async [Symbol.asyncDispose]() {
      held[Symbol.dispose]();
    },
  };
}

const isEmpty = ({ layers, removed }: State): boolean =>
  removed.length === 0 && Object.keys(layers).length === 0;

const nameOf = ({ tag, layers }: State, id: string): string | undefined =>
  layers[id] && deviceName(tag, layers[id]);

function tear(session: Session, id: string): void {
  const volume = session.state.layers[id];
  if (volume !== undefined) keep(session, id, { ...volume, isTorn: true });
}

function refuseLimit(maxSize: number | undefined, fileSystem: FileSystem): void {
  if (maxSize !== undefined && fileSystem !== 'ext4')
    throw new MicaError(
      'NOT_IMPLEMENTED',
      `storage driver devicemapper bounds writable layers with ext4 only, this store has ${fileSystem} (dm.fs)`,
    );
}

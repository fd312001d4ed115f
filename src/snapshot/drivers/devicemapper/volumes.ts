import { createHash } from 'node:crypto';
import { setTimeout } from 'node:timers/promises';
import { MicaError } from '../../../errors.ts';
import { blockDeviceAt, discardDevice, nameDevice } from '../../../sys/block-device.ts';
import { makedev } from '../../../sys/at.ts';
import { activateDevice, findDevice, removeDevice } from '../../../sys/device-mapper.ts';
import { errnoOf } from '../../../sys/errno.ts';
import { makeFileSystem, resizeExt4 } from './file-system.ts';
import { deviceName, type Session } from './session.ts';
import type { State, Volume } from './state.ts';
import { readSuperBlock, setExt4Uuid, type SuperBlock } from './super-block.ts';
import { refuseUnwritable, statusOfPool } from './thin-pool.ts';
import { createVolume, deleteVolume } from './transactions.ts';

const SECTOR = 512;
/** How long somebody who makes a mount namespace may have a copy of a mount, in milliseconds. */
const COPIED = 10_000;

/** An active device. */
export interface ActiveVolume {
  readonly name: string;
  /** Where it is in `/dev`. */
  readonly node: string;
  /** `<major>:<minor>` */
  readonly number: string;
}

/** Makes a thin device serve: one that is frozen for reading only. */
export function activate({ active, state }: Session, volume: Volume): ActiveVolume {
  const name = deviceName(state.tag, volume);
  const { device, sectors, end } = volume;
  const parameters = `${active.number} ${device}`;
  const target = { start: 0, length: sectors, type: 'thin', parameters };
  const { major, minor } = activateDevice(name, [target], { readonly: end !== undefined });
  return { name, node: nodeOf(name, major, minor), number: `${major}:${minor}` };
}

/** The same with the volume of a layer, which from now on is no copy of another one any more. */
export function activateLayer(session: Session, layer: string): ActiveVolume {
  const volume = session.state.layers[layer];
  if (volume?.start === undefined)
    throw new MicaError(
      'NOT_FOUND',
      `layer ${layer} has no thin device; check the store with mica check`,
    );
  if (volume.isNew !== true || volume.end !== undefined) return activate(session, volume);
  const { isNew: _, ...used } = volume;
  keep(session, layer, used);
  const active = activate(session, used);
  const { fileSystem, tag } = session.state;
  if (fileSystem === 'ext4') setExt4Uuid(active.node, uuidOf(tag, used));
  return active;
}

/** What the kernel makes in its own `/dev`; elsewhere the name that the device mapper's programs would make. */
function nodeOf(name: string, major: number, minor: number): string {
  const given = `/dev/dm-${minor}`;
  if (blockDeviceAt(given) === makedev(major, minor)) return given;
  const made = `/dev/mapper/${name}`;
  nameDevice(made, major, minor);
  return made;
}

/** Ends a device's service. @throws FAILED_PRECONDITION when it stays in use */
async function deactivate(name: string): Promise<void> {
  await unused(name);
  removeDevice(name);
}

/** Whoever still has it open may go on writing. */
async function unused(name: string): Promise<void> {
  for (const until = performance.now() + COPIED; ; await setTimeout(10)) {
    const users = findDevice(name)?.openCount ?? 0;
    if (users === 0) return;
    // Programs that look at every new device are done with it in a moment.
    if (performance.now() > until)
      throw new MicaError(
        'FAILED_PRECONDITION',
        `thin device ${name} is in use, perhaps mounted in another mount namespace; end what uses it`,
      );
  }
}

/** What the file system of a volume holds, while nobody has it mounted. */
export async function holdingOf(session: Session, volume: Volume): Promise<SuperBlock> {
  const isActive = findDevice(deviceName(session.state.tag, volume)) !== undefined;
  const { node, name } = activate(session, volume);
  try {
    return readSuperBlock(node, session.state.fileSystem);
  } finally {
    if (!isActive) await deactivate(name);
  }
}

/** The empty file system that all others are snapshots of; it is made with the first. */
export async function ensureBase(session: Session): Promise<Volume> {
  const { state, pool, save } = session;
  const made = state.base;
  if (made?.start !== undefined) return made;
  // One that a crash left unfinished is made again: mkfs writes over it.
  if (made === undefined)
    session.state = createVolume(pool, state, save, { sectors: state.baseSize / SECTOR });
  const base = session.state.base!;
  const { node, name } = activate(session, base);
  await makeFileSystem(state.fileSystem, node);
  const { size, inodes } = readSuperBlock(node, state.fileSystem);
  await deactivate(name);
  const start = { size, inodes };
  session.state = { ...session.state, base: { ...base, start, end: start } };
  save(session.state);
  return session.state.base!;
}

/** What a new volume is to be. */
export interface NewVolume {
  readonly layer: string;
  /** What it shows at first. */
  readonly origin: Volume;
  /** How much can be written, in bytes. Absent: what the file system has room for. */
  readonly maxSize: number | undefined;
}

/** Makes the volume of a layer; goes on where a crash cut it short. */
export async function makeVolume(session: Session, wanted: NewVolume): Promise<void> {
  const { pool, save, state } = session;
  const { layer, origin, maxSize } = wanted;
  const isAsBase = maxSize === undefined && origin.sectors * SECTOR === state.baseSize;
  if (state.layers[layer] === undefined)
    session.state = createVolume(pool, state, save, {
      sectors: origin.sectors,
      origin: origin.device,
      layer,
      ...(isAsBase && { start: origin.end! }),
    });
  const volume = session.state.layers[layer]!;
  if (volume.start === undefined) keep(session, layer, await resized(session, volume, wanted));
}

/** Writes down what became of a layer's volume. */
export function keep(session: Session, layer: string, volume: Volume): void {
  session.state = { ...session.state, layers: { ...session.state.layers, [layer]: volume } };
  session.save(session.state);
}

async function resized(session: Session, volume: Volume, wanted: NewVolume): Promise<Volume> {
  const { fileSystem, baseSize } = session.state;
  const { origin, maxSize } = wanted;
  // As large as it may become while its size is changed.
  const asked = sectorsFor(session.state, origin, maxSize);
  const most = Math.max(origin.sectors, baseSize / SECTOR, asked);
  const { node, name } = activate(session, { ...volume, sectors: most });
  const sectors = await resize(session.state, node, wanted);
  const { size, inodes } = readSuperBlock(node, fileSystem);
  await deactivate(name);
  return { ...volume, sectors, start: { size, inodes } };
}

/** @returns its new size, in sectors */
async function resize(
  state: State,
  node: string,
  { origin, maxSize }: Pick<NewVolume, 'origin' | 'maxSize'>,
): Promise<number> {
  const base = state.baseSize / SECTOR;
  const first = maxSize === undefined ? base : sectorsFor(state, origin, maxSize);
  await resizeExt4(node, first * SECTOR);
  if (maxSize === undefined) return base;
  // What a file system needs for itself depends on its size: now it is known.
  const { size } = readSuperBlock(node, state.fileSystem);
  const exact = whole(size + maxSize);
  await resizeExt4(node, exact * SECTOR);
  return exact;
}

/** More than enough for what the origin has, and `maxSize`. */
function sectorsFor(state: State, origin: Volume, maxSize: number | undefined): number {
  if (maxSize === undefined) return 0;
  const held = (origin.end ?? origin.start)?.size ?? 0;
  const empty = origin.sectors * SECTOR === state.baseSize ? (state.base?.start?.size ?? 0) : 0;
  const content = Math.max(0, held - empty);
  return whole((content + maxSize) * 1.03 + SPARE);
}

/** For the journal, and what the smallest file system has besides. */
const SPARE = 96 * 2 ** 20;

/** In sectors, of whole blocks of a pool. */
const whole = (bytes: number): number => Math.ceil(bytes / 65_536) * 128;

/** Nobody else's, and the same however often it is made. */
function uuidOf(tag: string, { device }: Volume): string {
  const bytes = createHash('sha256').update(`${tag}-${device}`).digest().subarray(0, 16);
  bytes[6] = (bytes[6]! & 0x0f) | 0x80;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  return bytes.toString('hex');
}

/**
 * Freezes the volume of a layer that nobody writes to any more.
 * @throws RESOURCE_EXHAUSTED, DATA_LOSS when not all that was written is there
 */
export async function freezeVolume(session: Session, layer: string): Promise<void> {
  const volume = session.state.layers[layer];
  if (volume === undefined)
    throw new MicaError(
      'NOT_FOUND',
      `layer ${layer} has no thin device; remove it, and make it anew`,
    );
  if (volume.end !== undefined) return;
  if (volume.isNew === true) return keep(session, layer, { ...volume, end: volume.start! });
  refuseUnwritable(statusOfPool(session.active.device), session.active.label);
  if (volume.isTorn === true) throw torn(layer);
  const name = deviceName(session.state.tag, volume);
  await unused(name);
  const { isClean, size, inodes } = await holdingOf(session, volume);
  await deactivate(name);
  if (!isClean) throw torn(layer);
  keep(session, layer, { ...volume, end: { size, inodes } });
}

const torn = (layer: string): MicaError =>
  new MicaError(
    'DATA_LOSS',
    `layer ${layer}: not all that was written to its thin device is there, because the pool was full or its disk failed; do it again when there is space`,
  );

/** The layer's volume is nobody's any more; {@link deleteRemoved} frees it. */
export function forgetVolume(session: Session, layer: string): void {
  const { [layer]: gone, ...layers } = session.state.layers;
  if (gone === undefined) return;
  const { start: _, end: __, ...rest } = gone;
  const removed = [...session.state.removed, rest];
  session.state = { ...session.state, layers, removed };
  session.save(session.state);
}

/** Deletes what nobody has any more, unless somebody still looks into it: then it goes with its last user, and later. */
export async function deleteRemoved(
  session: Session,
  { discard, signal }: { readonly discard: boolean; readonly signal?: AbortSignal | undefined },
): Promise<void> {
  for (const volume of session.state.removed) {
    signal?.throwIfAborted();
    const name = deviceName(session.state.tag, volume);
    removeDevice(name, { deferred: true });
    if (findDevice(name) !== undefined) continue;
    // One that nobody ever wrote to has nothing of its own.
    if (discard && volume.isNew !== true) await discardVolume(session, volume);
    session.state = deleteVolume(session.pool, session.state, session.save, volume.device);
  }
}

/** The pool's own disk learns which blocks are free: a sparse file gets smaller. */
async function discardVolume(session: Session, volume: Volume): Promise<void> {
  try {
    const { node, name } = activate(session, volume);
    await discardDevice(node);
    await deactivate(name);
  } catch (error) {
    // It may be gone from the pool, when a crash came before that was written down.
    if (!['ENODATA', 'ENXIO', 'EINVAL', 'EOPNOTSUPP'].includes(errnoOf(error) ?? '')) throw error;
  }
}

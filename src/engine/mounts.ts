import { randomBytes } from 'node:crypto';
import { mkdir, realpath, rmdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import {
  deleteMountOf,
  hasMounts,
  listMounts,
  lostMounts,
  type MountRecord,
  putMount,
} from '../db/mounts.ts';
import { isCode, MicaError } from '../errors.ts';
import { hexOf } from '../oci/digest.ts';
import { holdWhenFree } from '../sys/alive.ts';
import { performMounts } from '../sys/mount.ts';
import { isServed } from '../sys/mount/fuse-overlayfs.ts';
import { unmount as unmountKernel } from '../sys/mount/unmount.ts';
import type { Mount } from '../sys/mount-data.ts';
import { liveMountNamespaces } from '../sys/mount-namespaces.ts';
import { readMountinfo } from '../sys/mountinfo.ts';
import type { Context, Store } from './context.ts';
import type { TreeOptions } from './tree.ts';
import { findByName, storedImage } from './images.ts';

export interface MountOptions extends TreeOptions {
  readonly target?: string | undefined;
}

export interface MountResult {
  readonly target: string;
  readonly image: string;
  readonly layers: number;
}

/** @see Engine.mount */
export async function mount(
  context: Context,
  name: string,
  options: MountOptions = {},
): Promise<MountResult> {
  const store = await context.store();
  using _ = await lockViews(store);
  await forgetEndedLocked(store);
  const image = storedImage(store.db, findByName(store.db, name));
  const layers = options.layers ?? image.layers.length;
  const top = image.layers[layers - 1];
  if (top === undefined)
    throw new MicaError(
      'INVALID_ARGUMENT',
      image.layers.length === 0
        ? `mount ${name}: the image has no layers, there is nothing to see`
        : `mount ${name}: the image has ${image.layers.length} layers, not ${layers}`,
    );
  const usual = join(viewsDirectory(store), `${hexOf(image.id).slice(0, 12)}-${layers}`);
  if (options.target === undefined) await mkdir(usual, { recursive: true, mode: 0o755 });
  const target = await realPath(options.target ?? usual);
  const known = mountedNow(store).find((one) => one.target === target);
  if (known?.image === image.id && known.layers === layers)
    return { target, image: image.id, layers };
  if (known !== undefined)
    throw new MicaError('ALREADY_EXISTS', `mount ${name}: something else is mounted on ${target}`);
  const snapshot = `view-${randomBytes(8).toString('hex')}`;
  // Written down first: whoever finds it without its mount, when nobody is mounting, takes it back.
  putMount(store.db, { target, snapshot, image: image.id, layers });
  try {
    const mounts = await store.snapshots.view(snapshot, top.chainId);
    await performMounts(mounts.map(harmless), target);
  } catch (error) {
    await forget(store, { target, snapshot });
    throw withTarget(error, name, target);
  }
  return { target, image: image.id, layers };
}

/** What a hostile image holds must neither raise privileges nor open the host's devices. */
const harmless = (call: Mount): Mount =>
  call.target === undefined ? { ...call, options: [...call.options, 'nosuid', 'nodev'] } : call;

/** @see Engine.unmount */
export async function unmount(
  context: Context,
  target: string,
  { layers }: TreeOptions = {},
): Promise<readonly string[]> {
  const store = await context.store();
  using _ = await lockViews(store);
  await forgetEndedLocked(store);
  const all = mountedNow(store);
  const path = await realPath(target);
  const chosen = all.some((one) => one.target === path)
    ? all.filter((one) => one.target === path)
    : viewsOf(store, target, all).filter((one) => layers === undefined || one.layers === layers);
  if (chosen.length === 0)
    throw new MicaError(
      'NOT_FOUND',
      `${target} is neither a mounted view nor an image that has one`,
    );
  for (const view of chosen) {
    unmountKernel(view.target);
    await forget(store, view);
  }
  return chosen.map((view) => view.target);
}

const viewsDirectory = ({ db }: Store): string => join(db.root, 'run', 'views');

/** Held by who mounts or unmounts views: what is written down and what is mounted then agree. */
async function lockViews(store: Store): Promise<Disposable> {
  const directory = viewsDirectory(store);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  return holdWhenFree(`${directory}.lock`);
}

/** As the kernel names mount points. */
async function realPath(path: string): Promise<string> {
  return realpath(path).catch(() => resolve(path));
}

/** @see Engine.mounted */
export async function mounted(context: Context): Promise<readonly MountResult[]> {
  const db = await context.reading();
  const kernel = kernelTargets();
  return listMounts(db)
    .filter(({ target }) => kernel.has(target))
    .map(({ target, image, layers }) => ({ target, image, layers }));
}

function viewsOf({ db }: Store, name: string, all: readonly MountRecord[]): MountRecord[] {
  try {
    const { record } = findByName(db, name);
    return all.filter(({ image }) => image === record.id);
  } catch (error) {
    if (isCode(error, 'NOT_FOUND') || isCode(error, 'INVALID_ARGUMENT')) return [];
    throw error;
  }
}

/** Where something is mounted, and serves. */
const kernelTargets = (): Set<string> =>
  new Set(
    process.platform === 'linux'
      ? readMountinfo()
          .filter(isServed)
          .map(({ target }) => target)
      : [],
  );

function mountedNow({ db }: Store): MountRecord[] {
  const kernel = kernelTargets();
  return listMounts(db).filter(({ target }) => kernel.has(target));
}

/** Views that ended without us: with the machine, their mount namespace or their program, or by umount(8). */
export async function forgetEnded(store: Store): Promise<void> {
  if (!hasMounts(store.db)) return;
  using _ = await lockViews(store);
  await forgetEndedLocked(store);
}

async function forgetEndedLocked(store: Store): Promise<void> {
  const kernel = kernelTargets();
  for (const view of listMounts(store.db)) {
    if (kernel.has(view.target)) continue;
    // The program that served it may be gone, and its mount still there.
    unmountKernel(view.target, { detach: true });
    await forget(store, view);
  }
  const alive = liveMountNamespaces();
  const isAlive = (namespace: string): boolean => alive?.has(namespace) ?? true;
  for (const { snapshot } of lostMounts(store.db, isAlive)) {
    await removeView(store, snapshot);
    deleteMountOf(store.db, snapshot);
  }
}

async function forget(
  store: Store,
  { target, snapshot }: Pick<MountRecord, 'target' | 'snapshot'>,
): Promise<void> {
  await removeView(store, snapshot);
  deleteMountOf(store.db, snapshot);
  if (dirname(target) === (await realPath(viewsDirectory(store))))
    await rmdir(target).catch(() => undefined);
}

async function removeView({ snapshots }: Store, key: string): Promise<void> {
  try {
    await snapshots.remove(key);
  } catch (error) {
    if (!isCode(error, 'NOT_FOUND')) throw error;
  }
}

function withTarget(error: unknown, name: string, target: string): unknown {
  if (!(error instanceof MicaError)) return error;
  return new MicaError(error.code, `mount ${name} on ${target}: ${error.message}`, {
    cause: error,
  });
}

import { chownSync } from 'node:fs';
import { MicaError } from '../../errors.ts';
import type { Digest } from '../../oci/digest.ts';
import { hasKernel } from '../../sys/binding.ts';
import { features, overlayRefusal } from '../../sys/features.ts';
import { performMounts } from '../../sys/mount.ts';
import { inUserNamespace } from '../../sys/userns.ts';
import type { Driver, LayerForm, Pack } from '../driver.ts';
import type { DriverOptions } from './options.ts';
import { onTrial } from './trial.ts';

export type DriverName =
  | 'erofs'
  | 'overlay2'
  | 'fuse-overlayfs'
  | 'vfs'
  | 'tar'
  | 'aufs'
  | 'btrfs'
  | 'devicemapper'
  | 'zfs'
  | 'windowsfilter';

/** A driver that a store may have. Its code is loaded only if it is chosen. */
export interface Candidate {
  readonly name: DriverName;
  /** Why one takes it when one can. */
  readonly merit: string;
  /** Whether a new store takes it by itself. Absent: it does. Otherwise it has to be asked for. */
  isAutomatic?(): boolean;
  /** @param directory - where its layers would be @returns why it does not work here */
  refusal(directory: string, options: DriverOptions): Promise<string | undefined>;
  load(layers: string, parts: DriverParts): Promise<Driver>;
}

/** What drivers are made of that is not theirs. */
export interface DriverParts {
  readonly form: LayerForm;
  /** Recorded sha256 of a layer's index. */
  readonly digestOf: (id: string) => Digest | undefined;
  readonly pack: Pack;
  readonly options: DriverOptions;
}

/** Best first. */
export const CANDIDATES: readonly Candidate[] = [
  {
    name: 'erofs',
    merit: 'the kernel mounts layers from their archives: nothing is extracted',
    refusal: async (directory) => (await ownerRefusal(directory)) ?? erofsRefusal(directory),
    load: async (layers, { pack, digestOf, options }) =>
      (await import('./erofs.ts')).erofs(layers, { pack, digestOf, ...options.erofs }),
  },
  {
    name: 'overlay2',
    merit: 'the kernel stacks layers, and each is on the disk and in memory once',
    refusal: async (directory) =>
      (await ownerRefusal(directory)) ??
      onTrial(directory, (path) => overlayRefusal(path, { userxattr: inUserNamespace() })),
    load: async (layers, { form }) =>
      (await import('./overlay2.ts')).overlay2(layers, { userxattr: form === 'userxattr' }),
  },
  {
    name: 'fuse-overlayfs',
    merit: 'a program stacks layers where the kernel stacks none for this user',
    // As root it would serve what the kernel serves faster.
    isAutomatic: inUserNamespace,
    refusal: async (directory) =>
      (await ownerRefusal(directory)) ?? fuseOverlayfsRefusal(directory),
    load: async (layers, { options }) =>
      (await import('./fuse-overlayfs.ts')).fuseOverlayfs(layers, options['fuse-overlayfs']),
  },
  {
    name: 'vfs',
    merit: 'it needs nothing but a directory, at the price of a copy per layer',
    refusal: async (directory) => (await ownerRefusal(directory)) ?? bindRefusal(directory),
    load: async (layers) => (await import('./vfs.ts')).vfs(layers),
  },
  {
    name: 'tar',
    merit: 'it needs no privilege, and cannot mount',
    refusal: async () => undefined,
    load: async (layers) => (await import('./tar.ts')).tar(layers),
  },
  {
    name: 'aufs',
    merit: 'the kernel stacks layers as Docker once had them',
    isAutomatic: () => false,
    refusal: async (directory) => (await ownerRefusal(directory)) ?? aufsRefusal(directory),
    load: async (layers) => (await import('./aufs.ts')).aufs(layers),
  },
  {
    name: 'btrfs',
    merit: 'the file system shares what layers have in common',
    isAutomatic: () => false,
    refusal: async (directory) => (await ownerRefusal(directory)) ?? btrfsRefusal(directory),
    load: async (layers, { options }) => (await import('./btrfs.ts')).btrfs(layers, options.btrfs),
  },
  {
    name: 'devicemapper',
    merit: 'layers are thin devices of a pool, and share blocks',
    isAutomatic: () => false,
    refusal: async () => (await import('./devicemapper/probe.ts')).deviceMapperRefusal(),
    load: async (layers, { options }) =>
      (await import('./devicemapper.ts')).devicemapper(layers, options.dm),
  },
  {
    name: 'zfs',
    merit: 'datasets share what layers have in common',
    isAutomatic: () => false,
    refusal: async (directory, options) =>
      (await ownerRefusal(directory)) ??
      (await import('./zfs/home.ts')).zfsRefusal(directory, options.zfs),
    load: async (layers, { options }) => (await import('./zfs.ts')).zfs(layers, options.zfs),
  },
  {
    name: 'windowsfilter',
    merit: 'it keeps layers of Windows images as Windows has them',
    isAutomatic: () => false,
    refusal: async () => undefined,
    load: async (layers) => (await import('./windowsfilter.ts')).windowsfilter(layers),
  },
];

export const isAutomatic = (candidate: Candidate): boolean => candidate.isAutomatic?.() ?? true;

export const isDriverName = (name: string): name is DriverName =>
  CANDIDATES.some((candidate) => candidate.name === name);

/** @throws INVALID_ARGUMENT unless there is such a driver */
export function refuseUnknown(wanted: string): void {
  if (!isDriverName(wanted))
    throw new MicaError(
      'INVALID_ARGUMENT',
      `there is no storage driver ${wanted}; there are ${CANDIDATES.map(({ name }) => name).join(', ')}`,
    );
}

/** Files of an image belong to many users: who extracts them must be able to give them away. */
async function ownerRefusal(directory: string): Promise<string | undefined> {
  if (!hasKernel()) return `it needs Linux, this is ${process.platform}`;
  if (process.geteuid?.() !== 0) return 'it needs root, or a user namespace with subordinate ids';
  return onTrial(directory, (path) => {
    try {
      chownSync(path, 1, 1);
      return undefined;
    } catch {
      return 'files cannot be given to other users here; a user namespace needs subordinate ids (/etc/subuid, newuidmap)';
    }
  });
}

async function erofsRefusal(directory: string): Promise<string | undefined> {
  if (inUserNamespace()) return 'the kernel lets only the root of the machine mount EROFS';
  const probe = await import('./erofs/probe.ts');
  return onTrial(directory, (path) => probe.erofsRefusal(path));
}

async function btrfsRefusal(directory: string): Promise<string | undefined> {
  const probe = await import('./btrfs/probe.ts');
  return onTrial(directory, (path) => probe.btrfsRefusal(path));
}

async function fuseOverlayfsRefusal(directory: string): Promise<string | undefined> {
  const { fuseOverlayfs } = await import('./fuse-overlayfs.ts');
  return triedOn(directory, fuseOverlayfs);
}

async function aufsRefusal(directory: string): Promise<string | undefined> {
  if (inUserNamespace()) return 'the kernel lets only the root of the machine mount AUFS';
  const { aufs } = await import('./aufs.ts');
  const why = await triedOn(directory, aufs);
  // Once a mount has been tried, its module is loaded if there is one.
  return why === undefined || features().fileSystems.has('aufs')
    ? why
    : `the kernel has no AUFS, which is a patch that hardly any distribution has today (${why})`;
}

const triedOn = (
  directory: string,
  open: (layers: string) => Driver,
): Promise<string | undefined> =>
  onTrial(directory, async (path) => {
    const { unionRefusal } = await import('./union-probe.ts');
    try {
      return await unionRefusal(open, path);
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  });

const bindRefusal = (directory: string): Promise<string | undefined> =>
  onTrial(directory, async (path) => {
    const mount = { type: 'bind', source: path, options: ['rbind', 'ro'] };
    try {
      await using _ = await performMounts([mount], path);
      return undefined;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  });

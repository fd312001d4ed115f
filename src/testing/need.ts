import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { deviceMapperRefusal } from '../snapshot/drivers/devicemapper/probe.ts';
import { hostFacts } from '../runtime/spec/host.ts';
import { inUserNamespace } from '../sys/userns.ts';

/** What a test may need of the machine. */
export type Need =
  | 'linux'
  | 'root'
  /** overlayfs, mounted in a private mount namespace. */
  | 'overlay'
  /** User namespaces with subordinate ids. */
  | 'userns'
  | 'fuse-overlayfs'
  /** A kernel patch; no user namespace may mount it. */
  | 'aufs'
  | 'loop'
  /** Control groups of version 2 alone, which we may change. */
  | 'cgroup2'
  /** The btrfs kernel driver on a loop device. */
  | 'btrfs'
  /** The device mapper's target thin-pool, on loop devices. */
  | 'devicemapper'
  | 'mkfs.xfs'
  | 'dmsetup'
  | 'thin_check'
  /** ZFS in the kernel; or zfs-fuse with `MICA_TEST_ZFS_FUSE=1`: a machine has one, and it hangs at times (`npm run test:zfs-fuse`). */
  | 'zfs'
  /** The EROFS kernel driver, which serves no user namespace. */
  | 'erofs'
  | 'tar'
  | 'bsdtar'
  | 'setfacl'
  | 'skopeo'
  | 'umoci'
  | 'podman'
  | 'buildah'
  /** OCI runtimes that can start containers here. */
  | 'crun'
  | 'runc'
  /** Linked statically: copied alone into a tree it runs there. */
  | 'busybox'
  | 'catatonit'
  | 'docker-registry'
  | 'oci-image-tool'
  /** erofs-utils 1.7 or newer: 1.5 refuses blocks of 512 bytes. */
  | 'erofs-utils'
  | 'setcap'
  | 'setfattr'
  | 'zstd'
  | 'xz'
  | 'bzip2'
  /** The library libisal.so.2. */
  | 'isal';

/** Programs are killed at every step, or at every n-th where a machine is too slow for all. */
export const crashStride: number = Number(process.env['MICA_CRASH_STRIDE'] ?? 1);

/** A file that is told what becomes of zfs-fuse. */
export const zfsFuseReport: string = process.env['MICA_TEST_ZFS_FUSE_REPORT'] ?? '/dev/null';

/** Where programs are looked for. */
export const searchPath: string = process.env['PATH'] ?? '';

function have(program: string): boolean {
  return searchPath.split(delimiter).some((directory) => existsSync(join(directory, program)));
}

function runs(file: string, ...args: string[]): boolean {
  try {
    execFileSync(file, args, { stdio: 'ignore', timeout: 200_000 });
    return true;
  } catch {
    return false;
  }
}

function library(name: string): boolean {
  const known = execFileSync('ldconfig', ['-p'], { encoding: 'utf8' });
  return known.includes(`${name} (`);
}

function fileSystem(name: string): boolean {
  if (process.platform !== 'linux') return false;
  return readFileSync('/proc/filesystems', 'latin1').split(/\s+/).includes(name);
}

const root = (): boolean => process.platform === 'linux' && process.getuid?.() === 0;

const PROBES: Record<Need, () => boolean> = {
  linux: () => process.platform === 'linux',
  root,
  overlay: () => root() && fileSystem('overlay') && runs('unshare', '-m', 'true'),
  userns: () => root() && have('newuidmap') && runs('unshare', '-Urm', 'true'),
  'fuse-overlayfs': () => root() && existsSync('/dev/fuse') && have('fuse-overlayfs'),
  aufs: () => root() && fileSystem('aufs') && !inUserNamespace(),
  loop: () => root() && existsSync('/dev/loop-control') && have('mkfs.ext4'),
  cgroup2: () => root() && !inUserNamespace() && hostFacts().cgroups === 'v2',
  btrfs: () =>
    root() &&
    !inUserNamespace() &&
    fileSystem('btrfs') &&
    have('mkfs.btrfs') &&
    existsSync('/dev/loop-control'),
  devicemapper: () =>
    root() &&
    existsSync('/dev/loop-control') &&
    have('mkfs.ext4') &&
    deviceMapperRefusal() === undefined,
  'mkfs.xfs': () => have('mkfs.xfs'),
  dmsetup: () => have('dmsetup'),
  thin_check: () => have('thin_check'),
  erofs: () => root() && fileSystem('erofs') && !inUserNamespace(),
  zfs: () =>
    root() &&
    have('zpool') &&
    (existsSync('/dev/zfs') ||
      (process.env['MICA_TEST_ZFS_FUSE'] === '1' &&
        existsSync('/dev/fuse') &&
        have('zfs-fuse') &&
        have('setpriv'))),
  tar: () => runs('tar', '--version'),
  bsdtar: () => have('bsdtar'),
  setfacl: () => have('setfacl'),
  skopeo: () => have('skopeo'),
  umoci: () => root() && have('umoci'),
  podman: () => root() && have('podman'),
  buildah: () => root() && have('buildah'),
  crun: () => root() && have('crun'),
  runc: () => root() && have('runc'),
  busybox: () => runs('busybox', 'true') && runs('sh', '-c', '! ldd "$(command -v busybox)"'),
  catatonit: () => have('catatonit'),
  'docker-registry': () => have('docker-registry'),
  'oci-image-tool': () => have('oci-image-tool'),
  'erofs-utils': () => have('fsck.erofs') && runs('mkfs.erofs', '--tar=i', '--help'),
  setcap: () => root() && have('setcap'),
  setfattr: () => have('setfattr'),
  zstd: () => have('zstd'),
  xz: () => have('xz'),
  bzip2: () => have('bzip2'),
  isal: () => have('ldconfig') && library('libisal.so.2'),
};

const answers = new Map<Need, boolean>();

export function isMet(need: Need): boolean {
  const known = answers.get(need);
  if (known !== undefined) return known;
  const met = PROBES[need]();
  answers.set(need, met);
  return met;
}

/**
 * For a test's `skip` option: `false` when the machine has everything, else the reason. All
 * reasons have one form, `needs a, b`, so that the summary can count them and CI can hold them
 * against the machine.
 */
export function needs(...all: Need[]): string | false {
  const missing = all.filter((need) => !isMet(need));
  return missing.length > 0 && `needs ${missing.join(', ')}`;
}

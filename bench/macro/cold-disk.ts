/** A file system of its own, that can be forgotten: what was unmounted has nothing in the page cache, and nobody else loses any. */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { shell } from './harness.ts';

export interface ColdDisk extends Disposable {
  /** Where it is mounted. */
  readonly path: string;
  /** Writes everything down and forgets it. Nothing on it may be open or mounted. */
  forget(): void;
}

/** How an empty file system is made, of an image. */
const MKFS = {
  ext4: 'mkfs.ext4 -q -F -E lazy_itable_init=1,lazy_journal_init=1',
  btrfs: 'mkfs.btrfs -q -f',
};

export const isFileSystem = (name: string): name is keyof typeof MKFS => Object.hasOwn(MKFS, name);

/** On a loop device with direct I/O, so that its blocks are not in the page cache of what lies below. */
export function coldDisk(
  work: string,
  gibibytes: number,
  fileSystem: keyof typeof MKFS = 'ext4',
): ColdDisk {
  const [image, path] = [join(work, 'disk.img'), join(work, 'disk')];
  mkdirSync(path, { recursive: true });
  shell(`truncate -s ${gibibytes}G ${image} && ${MKFS[fileSystem]} ${image}`);
  const loop = shell(`losetup --direct-io=on --find --show ${image}`).trim();
  const mount = `mount -o noatime ${loop} ${path}`;
  shell(mount);
  return {
    path,
    forget: () => void shell(`umount ${path} && blockdev --flushbufs ${loop} && ${mount}`),
    [Symbol.dispose]() {
      shell(`umount ${path}; losetup -d ${loop}`);
      rmSync(image);
    },
  };
}

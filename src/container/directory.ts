import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { type HeldLock, holdWhenFree } from '../sys/alive.ts';
import { readMountinfo } from '../sys/mountinfo.ts';

/** A container's own directory: what its monitor keeps (`runtime/`), and where its tree is mounted. */
export interface ContainerDirectory {
  readonly path: string;
  /** Where the tree is mounted while it is needed. */
  readonly rootfs: string;
  /** The generated files of `/etc`. */
  readonly etc: string;
  /** Held by who creates, starts, settles or removes it: one at a time. Short work. */
  readonly lock: string;
  /** Held by the process at whose terminal it runs, which settles what has ended. */
  readonly attended: string;
  /** There while the tree is, or may be, mounted. */
  readonly unsettled: string;
}

export const containersDirectory = (root: string): string => join(root, 'containers');

export function directoryOf(root: string, id: string): ContainerDirectory {
  const path = join(containersDirectory(root), id);
  return {
    path,
    rootfs: join(path, 'rootfs'),
    etc: join(path, 'etc'),
    lock: join(path, 'container.lock'),
    attended: join(path, 'attended.lock'),
    unsettled: join(path, 'unsettled'),
  };
}

export const newId = (): string => randomBytes(32).toString('hex');

export const lockContainer = (
  { lock }: ContainerDirectory,
  signal?: AbortSignal,
): Promise<HeldLock> => holdWhenFree(lock, signal);

/** How often its tree is mounted, one above the other, by the kernel's word, in this mount namespace. */
export const mountsOf = ({ rootfs }: ContainerDirectory): number =>
  readMountinfo().filter(({ target }) => target === rootfs).length;

export const isMounted = (directory: ContainerDirectory): boolean => mountsOf(directory) > 0;

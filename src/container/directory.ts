import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { isCode } from '../errors.ts';
import { type HeldLock, holdWhenFree } from '../sys/alive.ts';
import { fromNode } from '../sys/errno.ts';
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

export const lockContainer = (
  { lock }: ContainerDirectory,
  signal?: AbortSignal,
): Promise<HeldLock> => holdWhenFree(lock, signal);

/** A directory that is there for no container yet, with its lock. */
export interface NewDirectory {
  /** Of who will have it. */
  readonly id: string;
  readonly directory: ContainerDirectory;
  readonly lock: HeldLock;
}

/** Until it is locked it looks like what a crash has left, and whoever sweeps may take it away. */
const ATTEMPTS = 20;

/** Makes one; who disposes of its lock before there is a row leaves it to be swept. */
export async function newDirectory(root: string): Promise<NewDirectory> {
  for (let attempt = 1; ; attempt++) {
    const id = randomBytes(32).toString('hex');
    const directory = directoryOf(root, id);
    try {
      mkdirSync(directory.path, { recursive: true, mode: 0o700 });
      using undo = new DisposableStack();
      const lock = undo.use(await lockContainer(directory));
      mkdirSync(directory.rootfs);
      undo.move();
      return { id, directory, lock };
    } catch (error) {
      const known = fromNode(error);
      if (attempt === ATTEMPTS || !isCode(known, 'NOT_FOUND')) throw known;
    }
  }
}

/** How often its tree is mounted, one above the other, by the kernel's word, in this mount namespace. */
export const mountsOf = ({ rootfs }: ContainerDirectory): number =>
  readMountinfo().filter(({ target }) => target === rootfs).length;

export const isMounted = (directory: ContainerDirectory): boolean => mountsOf(directory) > 0;

import { existsSync, lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { MicaError } from '../../errors.ts';
import { removeTree } from '../../fs/remove.ts';
import { enableQuota, limitExclusive, quotaMode } from '../../sys/btrfs/quota.ts';
import {
  createSubvolume,
  isOnBtrfs,
  isSubvolume,
  setReadonly,
  snapshotSubvolume,
  subvolumeOf,
  unlockSubvolume,
  withNested,
} from '../../sys/btrfs/subvolume.ts';
import { fromNode } from '../../sys/errno.ts';
import { fchmod, syncfs } from '../../sys/file.ts';
import type { CreateOptions, Driver, Snapshot, Usage } from '../driver.ts';
import { cleared, destroyTree } from './btrfs/destroy.ts';
import { flatten } from './btrfs/flatten.ts';
import { findDirectory, openDirectory, openRoot } from './btrfs/open-directory.ts';
import { findTouched } from './btrfs/touched.ts';
import { ownUsage } from './btrfs/usage.ts';
import { Directories } from './directories.ts';

export interface BtrfsOptions {
  /** No writable layer is bounded to less, in bytes. */
  readonly minSpace?: number | undefined;
}

const TREE = 'fs';

/**
 * Subvolumes of a btrfs file system: a layer is a snapshot of the one below it, and shares with it
 * all that it does not change, file or part of a file. Nothing is copied, whatever its size.
 */
export function btrfs(root: string, { minSpace = 0 }: BtrfsOptions = {}): Driver {
  const dirs = new Directories(root);
  const destroyed: number[] = [];
  // A view shows its parent; everything else has a tree of its own.
  const ownerOf = ({ id, kind, parents: [parent] }: Snapshot): string =>
    kind === 'view' && parent !== undefined ? parent : id;

  function remove(id: string): void {
    refuseMissing(root, dirs.of(id));
    destroyed.push(...destroyTree(dirs.fs(id)));
    removeTree(dirs.of(id));
  }

  function make(id: string, parent: string | undefined, { maxSize }: CreateOptions): void {
    using directory = openDirectory(dirs.of(id));
    if (parent === undefined) createSubvolume(directory.fd, TREE);
    else {
      using source = openDirectory(dirs.fs(parent));
      refuseDirectory(source.fd, dirs.fs(parent));
      snapshotSubvolume(source.fd, directory.fd, TREE);
    }
    using tree = openDirectory(dirs.fs(id));
    // Whatever this process' umask is.
    if (parent === undefined) fchmod(tree.fd, 0o755, TREE);
    if (maxSize === undefined) return;
    enableQuota(tree.fd);
    limitExclusive(tree.fd, subvolumeOf(tree.fd).id, maxSize);
  }

  function freeze(id: string): void {
    using tree = openDirectory(dirs.fs(id));
    setReadonly(tree.fd, true);
  }

  /** Its owner, in a container, may have closed it; and it is sealed again after a crash. */
  function unlock(id: string): void {
    using tree = openDirectory(dirs.fs(id));
    unlockSubvolume(tree.fd);
  }

  return {
    name: 'btrfs',
    form: 'direct',

    async create(snapshot, options = {}) {
      const { id, kind, parents } = snapshot;
      if (kind === 'view' && parents.length > 0) return;
      refuseLess(options, minSpace);
      remove(id);
      dirs.make(dirs.of(id));
      make(id, parents[0], options);
    },

    async seal({ id }) {
      unlock(id);
      await flatten(dirs.fs(id));
      freeze(id);
      return undefined;
    },
    filled: async ({ id }) => freeze(id),

    remove: async ({ id }) => remove(id),

    async purge(options) {
      await dirs.purge(options);
      if (destroyed.length > 0) await cleared(root, destroyed.splice(0), options);
    },

    // Reading leaves no traces: else each container would have its own copy of all that it reads about files.
    mounts: async (snapshot) => [
      {
        type: 'bind',
        source: dirs.fs(ownerOf(snapshot)),
        options: ['rbind', snapshot.kind === 'active' ? 'rw' : 'ro', 'noatime'],
      },
    ],

    async usage({ id }, options) {
      using tree = findDirectory(dirs.fs(id));
      if (tree === undefined) return { size: 0, inodes: 0 };
      await syncfs(tree.fd);
      let usage = besides(dirs.of(id));
      for (const one of withNested(tree.fd, subvolumeOf(tree.fd).id)) {
        using top = openRoot(tree.fd, one);
        usage = sum(usage, await ownUsage(top.fd, subvolumeOf(top.fd), options));
      }
      return usage;
    },

    async touched({ id, parents: [parent] }, options) {
      if (parent === undefined) return undefined;
      using tree = openDirectory(dirs.fs(id));
      using source = openDirectory(dirs.fs(parent));
      const own = subvolumeOf(tree.fd);
      if (own.snapshotted === 0) return undefined;
      await syncfs(tree.fd);
      return await findTouched(tree.fd, { own, parent: subvolumeOf(source.fd) }, options);
    },

    async inspect(snapshot) {
      const path = dirs.fs(ownerOf(snapshot));
      using tree = openDirectory(path);
      return { SourceDir: path, Subvolume: String(subvolumeOf(tree.fd).id) };
    },

    async status() {
      using directory = openDirectory(root);
      return { 'Backing Filesystem': 'btrfs', Quotas: quotaMode(directory.fd) };
    },

    async [Symbol.asyncDispose]() {},
  };
}

function refuseLess({ maxSize }: CreateOptions, minSpace: number): void {
  if (maxSize !== undefined && maxSize < minSpace)
    throw new MicaError(
      'INVALID_ARGUMENT',
      `a writable layer of ${maxSize} bytes: btrfs.min_space is ${minSpace}`,
    );
}

/** Where the file system is not mounted, what is not there is not gone. */
function refuseMissing(root: string, layer: string): void {
  if (existsSync(layer) || isOnBtrfs(root)) return;
  throw new MicaError(
    'UNAVAILABLE',
    `remove ${layer}: ${root} does not lie on btrfs now; mount the file system that has the layers of the store`,
  );
}

/** Who copies a store with its files makes directories of its subvolumes. */
function refuseDirectory(fd: number, path: string): void {
  if (!isSubvolume(fd))
    throw new MicaError(
      'FAILED_PRECONDITION',
      `${path} is no subvolume (any more), and cannot be built on; remove the images that use it and pull them again, and move stores with btrfs send`,
    );
}

/** What lies beside the tree: the index. */
function besides(directory: string): Usage {
  try {
    const names = readdirSync(directory).filter((name) => name !== TREE);
    const stats = names.map((name) => lstatSync(join(directory, name)));
    const size = stats.reduce((bytes, { blocks }) => bytes + blocks * 512, 0);
    return { size, inodes: stats.length };
  } catch (error) {
    throw fromNode(error);
  }
}

const sum = (one: Usage, other: Usage): Usage => ({
  size: one.size + other.size,
  inodes: one.inodes + other.inodes,
});

import { rm } from 'node:fs/promises';
import { fromNode } from '../../sys/errno.ts';
import type { Mount } from '../../sys/mount-data.ts';
import type { Driver, Snapshot } from '../driver.ts';
import { Directories } from './directories.ts';
import { bindOf, overlayOf, stacked } from './overlay.ts';
import { refuseLimit } from './quota.ts';
import { copyRootAttributes } from './root-attributes.ts';

export interface OverlayOptions {
  /** Marks in `user.` xattrs instead of `trusted.` ones: for user namespaces. */
  readonly userxattr?: boolean;
}

const ADVICE = 'use storage driver vfs';

/** Union of directories by the kernel's overlayfs; a snapshot owns only its own changes. */
export function overlay2(root: string, { userxattr = false }: OverlayOptions = {}): Driver {
  const dirs = new Directories(root);

  const lowers = (snapshot: Snapshot): string[] =>
    stacked(snapshot, ADVICE).map((parent) => dirs.fs(parent));

  return {
    name: 'overlay2',
    form: userxattr ? 'userxattr' : 'overlay',

    async create({ id, kind, parents }, options) {
      refuseLimit('overlay2', options);
      dirs.make(dirs.fs(id));
      if (kind === 'committed') return;
      if (kind === 'active') dirs.make(dirs.work(id));
      if (parents.length > 0)
        copyRootAttributes(
          parents.map((parent) => dirs.fs(parent)),
          dirs.fs(id),
        );
    },

    async seal({ id }) {
      await rm(dirs.work(id), { recursive: true, force: true }).catch((error: unknown) => {
        throw fromNode(error);
      });
      return undefined;
    },

    remove: async ({ id }) => dirs.remove(id),
    purge: (options) => dirs.purge(options),

    async mounts(snapshot): Promise<readonly Mount[]> {
      const { id, kind, parents } = snapshot;
      const directories = { kind, fs: dirs.fs(id), work: dirs.work(id) };
      return [
        parents.length === 0
          ? bindOf(directories)
          : overlayOf({ ...directories, lowers: lowers(snapshot), userxattr }),
      ];
    },

    usage: ({ id }, options) => dirs.usage(id, options),

    async inspect(snapshot) {
      const { id, parents } = snapshot;
      return {
        ...(parents.length > 0 && { LowerDir: lowers(snapshot).join(':') }),
        MergedDir: `${dirs.of(id)}/merged`,
        UpperDir: dirs.fs(id),
        WorkDir: dirs.work(id),
      };
    },

    upper: ({ id }) => ({
      path: dirs.fs(id),
      whiteouts: userxattr ? 'userxattr' : 'overlay',
    }),
    async [Symbol.asyncDispose]() {},
  };
}

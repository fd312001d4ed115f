import { rm } from 'node:fs/promises';
import { MicaError } from '../../errors.ts';
import { fromNode } from '../../sys/errno.ts';
import { lowerdirOption, type Mount } from '../../sys/mount-data.ts';
import type { Driver, Snapshot } from '../driver.ts';
import { Directories } from './directories.ts';
import { copyRootAttributes } from './root-attributes.ts';

export interface OverlayOptions {
  /** Marks in `user.` xattrs instead of `trusted.` ones: for user namespaces. */
  readonly userxattr?: boolean;
}

/** OVL_MAX_STACK of the kernel. */
const MAX_LOWERS = 500;

/** Union of directories by the kernel's overlayfs; a snapshot owns only its own changes. */
export function overlay2(root: string, { userxattr = false }: OverlayOptions = {}): Driver {
  const dirs = new Directories(root);

  /**
   * Nearest first, each once: overlayfs refuses a directory that it has already (ELOOP), and images
   * often repeat a layer. What a layer says a second time, further down, is all hidden by the first.
   */
  function lowers({ id, parents }: Snapshot): string[] {
    const once = [...new Set(parents)];
    if (once.length <= MAX_LOWERS) return once.map((parent) => dirs.fs(parent));
    throw new MicaError(
      'NOT_IMPLEMENTED',
      `layer ${id} stands on ${once.length} others, overlayfs stacks ${MAX_LOWERS}; use storage driver vfs`,
    );
  }

  return {
    name: 'overlay2',
    form: userxattr ? 'userxattr' : 'overlay',

    async create({ id, kind, parents }) {
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
      if (parents.length === 0) return [bind(dirs.fs(id), kind)];
      const below = lowers(snapshot);
      // The view's own directory on top is its root, and makes a union of a single layer, too:
      // a bind would show how whiteouts are spelled.
      const all = kind === 'view' && below.length < MAX_LOWERS ? [dirs.fs(id), ...below] : below;
      const upper =
        kind === 'active' ? [`upperdir=${dirs.fs(id)}`, `workdir=${dirs.work(id)}`] : ['ro'];
      const options = [...upper, ...behaviour(userxattr), lowerdirOption(all)];
      return [{ type: 'overlay', source: 'overlay', options }];
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

const bind = (source: string, kind: Snapshot['kind']): Mount => ({
  type: 'bind',
  source,
  options: ['rbind', kind === 'active' ? 'rw' : 'ro'],
});

/**
 * What a snapshot's directory holds must mean the same in every stack that it becomes part of, and
 * what a layer says about other directories must mean nothing. (`userxattr` implies as much.)
 */
const behaviour = (userxattr: boolean): string[] =>
  userxattr ? ['userxattr'] : ['redirect_dir=nofollow', 'metacopy=off', 'index=off'];

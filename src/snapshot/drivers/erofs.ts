import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Digest } from '../../oci/digest.ts';
import type { Mount } from '../../sys/mount-data.ts';
import type { Driver, Pack, Snapshot, Upper } from '../driver.ts';
import { Directories } from './directories.ts';
import { INDEX, readRootAttributes, TAR } from './erofs/layer-index.ts';
import { LayerMounts } from './erofs/layer-mounts.ts';
import { MergedMounts } from './erofs/merged-mounts.ts';
import { bindOf, MAX_LOWERS, overlayOf, stacked } from './overlay.ts';
import { refuseLimit } from './quota.ts';
import { copyRootAttributes } from './root-attributes.ts';

export interface ErofsOptions {
  /** Makes a tar and an index of what was written. */
  readonly pack: Pack;
  /** Recorded sha256 of a layer's index: no other one is mounted. */
  readonly digestOf: (id: string) => Digest | undefined;
  /** The kernel reads tars past their page cache. */
  readonly directio?: boolean;
  /** From so many layers on a stack is one mount. Default 32. */
  readonly mergeFrom?: number;
}

const STACKING = {
  by: 'overlayfs',
  most: MAX_LOWERS,
  advice: 'read the image with mica ls, cat and cp',
};

/**
 * Layers that are never unpacked: the kernel mounts each layer's index with its tar as the device
 * that holds the files' data, once for all that use it, and overlayfs stacks these mounts.
 */
export function erofs(root: string, given: ErofsOptions): Driver {
  const { pack, digestOf, directio = false, mergeFrom } = given;
  const dirs = new Directories(root);
  const layers = new LayerMounts(root, { digestOf, directio });
  const upper = (id: string): Upper => ({ path: dirs.fs(id), whiteouts: 'overlay' });
  const merged = new MergedMounts(root, layers, { digestOf, directio, mergeFrom });

  /** Where what is below a snapshot is shown, nearest first. */
  function lowers(snapshot: Snapshot): string[] {
    const whole = merged.name(snapshot.parents);
    const shown = whole === undefined ? stacked(snapshot, STACKING) : [whole];
    return shown.map((name) => layers.point(name));
  }

  return {
    name: 'erofs',
    form: 'tar',

    async create({ id, kind, parents }, options) {
      refuseLimit('erofs', options);
      if (kind === 'committed') return dirs.make(dirs.of(id));
      dirs.make(dirs.fs(id));
      if (kind === 'active') dirs.make(dirs.work(id));
      if (parents.length > 0)
        copyRootAttributes(parents, dirs.fs(id), (parent) => readRootAttributes(dirs.of(parent)));
    },

    async seal({ id, parents }) {
      const below = parents.map((parent) => dirs.of(parent));
      try {
        const facts = await pack(upper(id), dirs.of(id), { parents: below });
        dirs.discard(id, 'fs');
        dirs.discard(id, 'work');
        return facts;
      } catch (error) {
        // It goes on as an active one: what it writes from now on must be packed, too.
        if (existsSync(dirs.fs(id))) rmSync(join(dirs.of(id), INDEX), { force: true });
        throw error;
      }
    },

    async remove({ id }) {
      await merged.drop(id);
      await layers.drop(id);
      dirs.remove(id);
    },
    purge: (options) => dirs.purge(options),

    async mounts(snapshot): Promise<readonly Mount[]> {
      const { id, kind, parents } = snapshot;
      const own = { kind, fs: dirs.fs(id), work: dirs.work(id) };
      if (parents.length === 0) return [bindOf(own)];
      const whole = await merged.of(parents);
      if (whole !== undefined) {
        const on = whole.target;
        return [
          whole,
          kind === 'view' ? bindOf({ ...own, fs: on }) : overlayOf({ ...own, lowers: [on] }),
        ];
      }
      const stack = stacked(snapshot, STACKING);
      const shared = await layers.of(stack);
      const points = stack.map((parent) => layers.point(parent));
      return [...shared, overlayOf({ ...own, lowers: points })];
    },

    async anticipate(parents) {
      await merged.of(parents);
    },

    release: (mountable) =>
      layers.release(() => {
        const stacks = mountable().map(({ parents }) => parents);
        return new Set(stacks.flatMap((stack) => [merged.name(stack) ?? [], stack].flat()));
      }),
    usage: ({ id }, options) => dirs.usage(id, options),

    async inspect(snapshot) {
      const { id, kind, parents } = snapshot;
      const directory = dirs.of(id);
      const isLayer = kind === 'committed';
      return {
        ...(isLayer && { LayerIndex: join(directory, INDEX), LayerTar: join(directory, TAR) }),
        ...(parents.length > 0 && {
          LowerDir: lowers(snapshot).join(':'),
        }),
        MergedDir: join(directory, 'merged'),
        UpperDir: isLayer ? layers.point(id) : dirs.fs(id),
        WorkDir: dirs.work(id),
      };
    },

    upper: ({ id, kind }) => (kind === 'active' ? upper(id) : undefined),
    async [Symbol.asyncDispose]() {},
  };
}

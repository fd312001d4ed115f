import { rm } from 'node:fs/promises';
import { fromNode } from '../../sys/errno.ts';
import type { Mount } from '../../sys/mount-data.ts';
import type { Driver, LayerForm, Upper } from '../driver.ts';
import { Directories } from './directories.ts';
import { bindOf, type OwnDirectories, stacked, type Stacking } from './overlay.ts';
import { refuseLimit } from './quota.ts';
import { copyRootAttributes } from './root-attributes.ts';

/** What differs between file systems that unite directories. */
export interface UnionKind {
  readonly name: string;
  readonly form: LayerForm;
  readonly whiteouts: Upper['whiteouts'];
  /** Whether writing takes a scratch directory beside a snapshot's own. */
  readonly scratch: boolean;
  readonly stacking: Stacking;
  /** What shows `lowers`, nearest first, below a snapshot's own directory. */
  readonly mount: (own: OwnDirectories, lowers: readonly string[]) => Mount;
  /** Prepares the directories of a snapshot that stands on `lowers`, before its own gets its attributes. */
  readonly furnish?: (own: OwnDirectories, lowers: readonly string[]) => void;
  /** Whether a snapshot that stands on nothing is mounted as a union, too. */
  readonly alone?: boolean;
}

/** A driver whose snapshots own a directory with their changes, and show the union of it and others. */
export function unionDriver(root: string, kind: UnionKind): Driver {
  const dirs = new Directories(root);
  const treesOf = (parents: Iterable<string>): string[] =>
    Array.from(parents, (parent) => dirs.fs(parent));

  return {
    name: kind.name,
    form: kind.form,
    depth: kind.stacking.most,

    async create({ id, kind: what, parents }, options) {
      refuseLimit(kind.name, options);
      const fs = dirs.fs(id);
      dirs.make(fs);
      if (what === 'committed') return;
      if (what === 'active' && kind.scratch) dirs.make(dirs.work(id));
      if (parents.length === 0) return;
      const lowers = treesOf(parents);
      kind.furnish?.({ kind: what, fs, work: dirs.work(id) }, lowers);
      copyRootAttributes(lowers, fs);
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
      const { id, kind: what, parents } = snapshot;
      const own = { kind: what, fs: dirs.fs(id), work: dirs.work(id) };
      const isUnion = parents.length > 0 || kind.alone === true;
      return [isUnion ? kind.mount(own, treesOf(stacked(snapshot, kind.stacking))) : bindOf(own)];
    },

    usage: ({ id }, options) => dirs.usage(id, options),

    async inspect({ id, parents }) {
      return {
        ...(parents.length > 0 && { LowerDir: treesOf(new Set(parents)).join(':') }),
        MergedDir: `${dirs.of(id)}/merged`,
        UpperDir: dirs.fs(id),
        ...(kind.scratch && { WorkDir: dirs.work(id) }),
      };
    },

    upper: ({ id }) => ({ path: dirs.fs(id), whiteouts: kind.whiteouts }),
    async [Symbol.asyncDispose]() {},
  };
}

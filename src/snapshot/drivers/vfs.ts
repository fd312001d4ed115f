import { copyTree } from '../../fs/copy.ts';
import type { Driver, Snapshot } from '../driver.ts';
import { Directories } from './directories.ts';
import { refuseLimit } from './quota.ts';

/** Full copies in plain directories: works on every file system, shares what reflinks share. */
export function vfs(root: string): Driver {
  const dirs = new Directories(root);
  // A view shows its parent; everything else has a tree of its own.
  const source = ({ id, kind, parents: [parent] }: Snapshot): string =>
    dirs.fs(kind === 'view' && parent !== undefined ? parent : id);

  return {
    name: 'vfs',
    form: 'direct',
    copies: true,

    async create(snapshot, options = {}) {
      refuseLimit('vfs', options);
      const { id, kind, parents } = snapshot;
      const [parent] = parents;
      if (kind === 'view' && parent !== undefined) return;
      // A copy that a crash cut short is done again.
      dirs.remove(id);
      dirs.make(dirs.fs(id));
      if (parent !== undefined) await copyTree(dirs.fs(parent), dirs.fs(id), options);
    },

    remove: async ({ id }) => dirs.remove(id),
    purge: (options) => dirs.purge(options),

    mounts: async (snapshot) => {
      const access = snapshot.kind === 'active' ? 'rw' : 'ro';
      return [{ type: 'bind', source: source(snapshot), options: ['rbind', access] }];
    },

    usage: ({ id }, options) => dirs.usage(id, options),
    inspect: async (snapshot) => ({ SourceDir: source(snapshot) }),
    async [Symbol.asyncDispose]() {},
  };
}

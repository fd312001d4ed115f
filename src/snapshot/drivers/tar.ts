import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fromNode } from '../../sys/errno.ts';
import type { Driver, Usage } from '../driver.ts';
import { Directories } from './directories.ts';
import { refuseLimit } from './quota.ts';

/**
 * Layers as their uncompressed tars, each with its index: no root, no mount, any system. What is
 * in them is read through the union in user space.
 */
export function tar(root: string): Driver {
  const dirs = new Directories(root);
  return {
    name: 'tar',
    form: 'tar',
    async create({ id }, options) {
      refuseLimit('tar', options);
      dirs.make(dirs.of(id));
    },
    remove: async ({ id }) => dirs.remove(id),
    purge: (options) => dirs.purge(options),
    usage: async ({ id }) => usageOf(dirs.of(id)),
    inspect: async ({ id }) => ({
      LayerIndex: join(dirs.of(id), 'index.erofs'),
      LayerTar: join(dirs.of(id), 'layer.tar'),
    }),
    async [Symbol.asyncDispose]() {},
  };
}

/** Of a directory with files only, by what every system tells. */
function usageOf(directory: string): Usage {
  try {
    const names = ['.', ...readdirSync(directory)];
    // Of a layer that is being made, files get other names meanwhile.
    const stats = names.flatMap(
      (name) => statSync(join(directory, name), { throwIfNoEntry: false }) ?? [],
    );
    const size = stats.reduce((sum, { blocks }) => sum + blocks * 512, 0);
    return { size, inodes: stats.length };
  } catch (error) {
    throw fromNode(error);
  }
}

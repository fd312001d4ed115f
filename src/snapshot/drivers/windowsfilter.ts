import type { Driver } from '../driver.ts';
import { Directories } from './directories.ts';

/**
 * Layers of Windows images, in the transport format in which Windows takes and gives them. They can
 * be kept, read and given on everywhere; only Windows mounts them.
 */
export function windowsfilter(root: string): Driver {
  const dirs = new Directories(root);
  return {
    name: 'windowsfilter',
    form: 'windows',
    create: async ({ id }) => dirs.make(dirs.of(id)),
    remove: async ({ id }) => dirs.remove(id),
    purge: (options) => dirs.purge(options),
    usage: ({ id }, options) => dirs.usage(id, options),
    inspect: async ({ id }) => ({ dir: dirs.of(id) }),
    async [Symbol.asyncDispose]() {},
  };
}

import { MicaError } from '../../errors.ts';
import { hasKernel } from '../../sys/binding.ts';
import type { Driver } from '../driver.ts';
import { Directories } from './directories.ts';
import { treeSize } from './windowsfilter/tree-size.ts';
import { Sandboxes } from './windowsfilter/sandboxes.ts';

/**
 * Layers of Windows images, in the transport format in which Windows takes and gives them. They can
 * be kept, read and given on everywhere; only Windows mounts them, which is why elsewhere this has
 * no `mounts`.
 */
export function windowsfilter(
  root: string,
  { platform = process.platform }: { readonly platform?: NodeJS.Platform } = {},
): Driver {
  const dirs = new Directories(root);
  const kept = {
    name: 'windowsfilter',
    form: 'windows',
    create: async ({ id }) => dirs.make(dirs.of(id)),
    remove: async ({ id }) => dirs.remove(id),
    purge: (options) => dirs.purge(options),
    usage: async ({ id }, options) =>
      hasKernel() ? dirs.usage(id, options) : treeSize(dirs.of(id), options),
    inspect: async ({ id }) => ({ dir: dirs.of(id) }),
    async [Symbol.asyncDispose]() {},
  } satisfies Driver;
  if (platform !== 'win32') return kept;

  const sandboxes = new Sandboxes(root, dirs);
  return {
    ...kept,
    async create(snapshot, options) {
      dirs.make(dirs.of(snapshot.id));
      if (snapshot.kind !== 'committed') sandboxes.create(snapshot, options);
    },
    async seal() {
      throw new MicaError(
        'NOT_IMPLEMENTED',
        'what was written on Windows cannot be committed here; take the archive of the changes (diff)',
      );
    },
    async remove({ id }) {
      sandboxes.remove(id);
      dirs.remove(id);
    },
    mounts: async (snapshot) => sandboxes.mounts(snapshot),
    diff: (snapshot) => sandboxes.diff(snapshot),
  };
}

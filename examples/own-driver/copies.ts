/**
 * A storage driver of one's own, as small as they get: every snapshot is a directory, and `cp -a`
 * makes it of the one below. Outside of this repository the imports are `mica-oci` and `mica-oci/testing`.
 */
import { execFile } from 'node:child_process';
import { chmod, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { MicaError } from '../../src/index.ts';
import type { Driver, Snapshot } from '../../src/testing/index.ts';

export function copies(layers: string): Driver {
  const directory = (id: string): string => join(layers, id);
  const tree = (id: string): string => join(layers, id, 'fs');
  /** A view shows its parent; everything else has a tree of its own. */
  const isBorrowed = ({ kind, parents }: Snapshot): boolean =>
    kind === 'view' && parents.length > 0;
  const shown = (snapshot: Snapshot): string =>
    tree(isBorrowed(snapshot) ? snapshot.parents[0]! : snapshot.id);

  return {
    name: 'copies',
    // A layer is unpacked onto a directory that holds those below already.
    form: 'direct',

    async create(snapshot, { maxSize } = {}) {
      if (maxSize !== undefined)
        throw new MicaError(
          'NOT_IMPLEMENTED',
          'storage driver copies cannot limit what is written',
        );
      if (isBorrowed(snapshot)) return;
      const { id, parents } = snapshot;
      // Whatever a crash cut short is done again, from the beginning.
      await run('rm', '-rf', directory(id));
      await mkdir(directory(id));
      if (parents.length > 0) await run('cp', '-a', '--reflink=auto', tree(parents[0]!), tree(id));
      else {
        await mkdir(tree(id));
        // Whatever the umask is.
        await chmod(tree(id), 0o755);
      }
    },

    remove: async ({ id }) => void (await run('rm', '-rf', directory(id))),

    mounts: async (snapshot) => [
      {
        type: 'bind',
        source: shown(snapshot),
        options: ['rbind', snapshot.kind === 'active' ? 'rw' : 'ro'],
      },
    ],

    async usage(snapshot) {
      if (isBorrowed(snapshot)) return { size: 0, inodes: 0 };
      const count = async (what: string): Promise<number> =>
        parseInt(await run('du', '-s', what, directory(snapshot.id)), 10);
      return { size: await count('--block-size=1'), inodes: await count('--inodes') };
    },

    inspect: async (snapshot) => ({ SourceDir: shown(snapshot) }),
    async [Symbol.asyncDispose]() {},
  };
}

const execute = promisify(execFile);

async function run(program: string, ...parameters: string[]): Promise<string> {
  try {
    return (await execute(program, parameters)).stdout;
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    const isFull = /No space left on device|Disk quota exceeded/.test(message);
    throw new MicaError(isFull ? 'RESOURCE_EXHAUSTED' : 'INTERNAL', message, { cause });
  }
}

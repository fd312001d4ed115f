import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { EngineOptions } from '../../src/engine/config.ts';
import type { Engine } from '../../src/engine/engine.ts';
import { openEngine } from '../../src/engine/open.ts';
import { readMountinfo } from '../../src/sys/mountinfo.ts';

/** An engine on a store of its own, in a directory that goes away with it. */
export async function openTemporaryEngine(options: EngineOptions = {}): Promise<Engine> {
  await using stack = new AsyncDisposableStack();
  const directory = stack.use(await mkdtempDisposable(join(tmpdir(), 'mica-store-')));
  const engine = stack.use(await openEngine({ root: join(directory.path, 'store'), ...options }));
  const all = stack.move();
  return { ...engine, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

/** What the kernel has mounted below a store. */
export const mountsBelow = (root: string): string[] =>
  process.platform === 'linux'
    ? readMountinfo()
        .map(({ target }) => target)
        .filter((target) => target.startsWith(`${root}/`))
    : [];

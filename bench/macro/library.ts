/** Containers and new layers in the library as it is published: one process, as a daemon would, after one round to get warm. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { EngineOptions } from '../../src/index.ts';
import { median } from './harness.ts';

/** Milliseconds. */
export interface Times {
  readonly wall: number;
  readonly cpu: number;
}

type Step = 'create' | 'create and mount' | 'diff' | 'commit' | 'remove';

export interface LibraryRun {
  readonly image: string;
  /** Changed, or new, in each container. */
  readonly files: number;
  readonly runs: number;
}

/** @returns medians of each step, and the times of the first round, in which all is loaded */
export async function libraryTimes(
  options: EngineOptions,
  { image, files, runs }: LibraryRun,
): Promise<Record<string, Times>> {
  // From source each file would be stripped of its types when it is loaded.
  const library = new URL('../../dist/lib/index.js', import.meta.url).href;
  const { openEngine } = (await import(library)) as typeof import('../../src/index.ts');
  await using engine = await openEngine(options);
  const { containers } = engine;
  const all = new Map<string, Times[]>();
  for (let round = 0; round <= runs; round++) {
    const measure = async <T>(step: Step, task: () => Promise<T>): Promise<T> => {
      const [start, cpu] = [performance.now(), process.cpuUsage()];
      const result = await task();
      const wall = performance.now() - start;
      const { user, system } = process.cpuUsage(cpu);
      const name = round === 0 ? `first ${step}` : step;
      all.set(name, [...(all.get(name) ?? []), { wall, cpu: (user + system) / 1000 }]);
      return result;
    };
    const request = { options: { network: 'none' } } as const;
    const one = await measure('create', () => containers.create(image, request));
    await containers.remove(one.id);
    // Measured until it is mounted: unmounting is not asked about.
    const { id, root, unmount } = await measure('create and mount', async () => {
      const container = await containers.create(image, request);
      const [mounted, enough] = [Promise.withResolvers<string>(), Promise.withResolvers<void>()];
      const ends = containers.withTree(container.id, async (tree) => {
        mounted.resolve(tree);
        await enough.promise;
      });
      const unmounting = async (): Promise<void> => {
        enough.resolve();
        await ends;
      };
      const tree = await Promise.race([mounted.promise, ends.then(() => '')]);
      return { id: container.id, root: tree, unmount: unmounting };
    });
    change(root, files, round);
    await unmount();
    await measure('diff', () => containers.changes(id));
    await measure('commit', () => containers.commit(id, { names: ['new:1'] }));
    await measure('remove', () => containers.remove(id));
  }
  return Object.fromEntries(
    [...all].map(([name, times]) => [
      name,
      { wall: median(times.map(({ wall }) => wall)), cpu: median(times.map(({ cpu }) => cpu)) },
    ]),
  );
}

function change(root: string, files: number, round: number): void {
  const text = `file with some text in it\nand round ${round}\n`;
  if (files < 50) {
    for (let at = 0; at < files; at++)
      writeFileSync(join(root, 'etc', at === 0 ? 'debian_version' : `new${at}`), text);
    return;
  }
  for (let at = 0; at < files; at++) {
    const directory = join(root, 'srv/new', `d${at % 50}`);
    if (at < 50) mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, `f${at}`), `${text}${at}\n`);
  }
}

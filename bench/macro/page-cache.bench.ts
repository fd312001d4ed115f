/**
 * Question: do N containers on one base hold its pages once, and do containers of another image on the same base?
 * Baseline: one container.
 * Unit: percent of the base's pages that are resident, seen through one container when another has read them (mincore(2), by
 * fincore(1)); MiB of page cache that N containers cost which all read everything.
 *
 *     sudo unshare -m node bench/macro/page-cache.bench.ts --work DIRECTORY [--drivers erofs,erofs+directio,overlay2,vfs] [--counts 1,2,5,10] \
 *       [--disk ext4|btrfs] [--layers 3] [--mib 64] [--result FILE.json]
 *
 * Two images, each of a base of `--layers` layers with `--mib` MiB in files of 16 KiB and of 4 MiB, and a small layer of its own. Containers are
 * writable snapshots, mounted. Before each step the store's file system is unmounted, so that nothing of it is cached; what readers
 * make the kernel cache is counted by a memory cgroup of theirs, and so is free of what else the machine does.
 * In a mount namespace of its own, because another one that copies its mounts keeps them from ending.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { resolveConfig } from '../../src/engine/config.ts';
import { Context } from '../../src/engine/context.ts';
import { openEngine } from '../../src/engine/open.ts';
import { BlobFixture } from '../../src/testing/image-fixture.ts';
import * as t from '../../src/testing/tree.ts';
import { performMounts } from '../../src/sys/mount.ts';
import { cachedBy } from './cached-by.ts';
import { type ColdDisk, coldDisk, isFileSystem } from './cold-disk.ts';
import { serveImages } from './fixture-registry.ts';
import { machine } from './harness.ts';
import { filesBelow, readAll, resident } from './resident.ts';
import { optionsOf } from './subject.ts';

const { values } = parseArgs({
  options: {
    work: { type: 'string' },
    drivers: { type: 'string', default: 'erofs,erofs+directio,overlay2,vfs' },
    counts: { type: 'string', default: '1,2,5,10' },
    disk: { type: 'string', default: 'ext4' },
    layers: { type: 'string', default: '3' },
    mib: { type: 'string', default: '64' },
    result: { type: 'string' },
  },
});
if (values.work === undefined) throw new Error('--work DIRECTORY is needed');
if (!isFileSystem(values.disk)) throw new Error(`--disk ${values.disk}: ext4 or btrfs`);
const work = join(values.work, `page-cache-${process.pid}`);
const counts = values.counts.split(',').map(Number);
const MIB = 1 << 20;
const [SMALL, LARGE] = [16 * 1024, 4 * MIB];

/** Half of the content in small files, half in large ones, evenly from all layers. */
function baseLayers(): Buffer[] {
  const half = (Number(values.mib) * MIB) / 2;
  const sizes = [
    ...Array.from({ length: half / SMALL }, () => SMALL),
    ...Array.from({ length: half / LARGE }, () => LARGE),
  ];
  const layers = Array.from({ length: Number(values.layers) }, () => new Map<string, t.Item>());
  for (const [i, size] of sizes.entries())
    layers[i % layers.length]!.set(`base/${i % 50}/file-${i}`, t.file(Buffer.alloc(size, `${i} `)));
  return layers.map((items) => t.tarOf(t.tree(items)));
}

/** Containers, mounted on directories of their own. */
class Containers implements AsyncDisposable {
  readonly #context: Context;
  readonly #undo = new AsyncDisposableStack();

  constructor(context: Context) {
    this.#context = context;
    this.#undo.use(context);
  }

  /** Mounts a container that was made before. @returns where */
  async start(name: string): Promise<string> {
    const { snapshots } = await this.#context.store();
    const target = join(work, name);
    mkdirSync(target);
    const mounted = await performMounts(await snapshots.mounts(name), target);
    this.#undo.defer(async () => {
      await mounted[Symbol.asyncDispose]();
      await snapshots.remove(name);
      rmSync(target, { recursive: true });
    });
    return target;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#undo.disposeAsync();
  }
}

interface Result {
  /** Percent, seen before anybody read; then through who did not read. */
  readonly before: number;
  readonly second: number;
  readonly otherImage: number;
  /** MiB of page cache, by number of containers. */
  readonly cache: readonly number[];
}

async function measure(subject: string, disk: ColdDisk, host: string): Promise<Result> {
  const root = join(disk.path, subject);
  mkdirSync(root, { mode: 0o700 });
  const options = optionsOf(subject, root);
  const chains: string[] = [];
  {
    await using engine = await openEngine(options);
    for (const name of ['one', 'two']) {
      await engine.pull(`${host}/${name}:latest`);
      chains.push((await engine.image(`${host}/${name}:latest`)).layers.at(-1)!.chainId);
    }
  }
  const [one, two] = chains as [string, string];
  /** @param names containers, and the chains that they stand on: made, forgotten by the page cache, and mounted */
  const cold = async <T>(
    names: Readonly<Record<string, string>>,
    use: (targets: readonly string[]) => T,
  ): Promise<T> => {
    {
      await using context = new Context(await resolveConfig(options));
      const { snapshots } = await context.store();
      for (const [name, chain] of Object.entries(names)) await snapshots.prepare(name, chain);
    }
    disk.forget();
    await using containers = new Containers(new Context(await resolveConfig(options)));
    const targets: string[] = [];
    for (const name of Object.keys(names)) targets.push(await containers.start(name));
    return use(targets);
  };
  const shares = await cold({ a: one, b: one, c: two }, ([a, b, c]) => {
    const base = filesBelow(b!, 'base');
    const before = resident(b!, base);
    readAll(a!, 'base');
    return { before, second: resident(b!, base), otherImage: resident(c!, base) };
  });
  const cache: number[] = [];
  for (const count of counts) {
    const names = Array.from({ length: count }, (_, i) => [`n${i}`, one]);
    const bytes = await cold(Object.fromEntries(names), (targets) =>
      cachedBy(() => targets.forEach((target) => readAll(target, 'base'))),
    );
    cache.push(bytes / MIB);
  }
  return { ...shares, cache };
}

function table(results: Readonly<Record<string, Result>>): string {
  const head = [
    'driver',
    'resident before',
    'in a second container',
    'in one of another image',
    ...counts.map((count) => `MiB for ${count}`),
  ];
  const rows = Object.entries(results).map(([name, { before, second, otherImage, cache }]) => [
    name,
    ...[before, second, otherImage].map((percent) => `${percent.toFixed(0)} %`),
    ...cache.map((mib) => mib.toFixed(0)),
  ]);
  return [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
}

mkdirSync(work, { recursive: true });
{
  using undo = new DisposableStack();
  undo.defer(() => rmSync(work, { recursive: true, force: true }));
  using disk = coldDisk(work, 8, values.disk);
  const fixture = new BlobFixture();
  const base = baseLayers();
  const image = async (name: string) => {
    const own = t.tarOf(t.tree({ [`app/${name}`]: t.file(name) }));
    return (await fixture.image([...base, own], { compression: 'zstd' })).descriptor;
  };
  await using registry = await serveImages(fixture, {
    one: await image('one'),
    two: await image('two'),
  });
  const results: Record<string, Result> = {};
  for (const subject of values.drivers.split(','))
    results[subject] = await measure(subject, disk, registry.host);
  console.log(`${values.layers} layers, ${values.mib} MiB\n\n${table(results)}`);
  if (values.result !== undefined)
    writeFileSync(
      values.result,
      `${JSON.stringify({ machine: machine(), layers: values.layers, mib: values.mib, counts, results }, null, 1)}\n`,
    );
}

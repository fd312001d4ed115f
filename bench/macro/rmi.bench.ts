/**
 * Question: how long does it take to remove an image that nothing else shares?
 * Baseline: none; the aim is 50 ms for an image of 40,000 files, beside the start of a process.
 * Unit: milliseconds of wall and CPU time, least and median. `name`: the name, the image and its rows are gone, durably (`Engine.remove`). `space`: its
 * layers and blobs are deleted (`Engine.gc`). `mica rmi` does both. Cached: right after the pull, when the kernel must free every page of what it deletes, too.
 *
 *     sudo unshare -m node bench/macro/rmi.bench.ts --work DIRECTORY --image 127.0.0.1:5000/node-app [--drivers erofs,overlay2] [--runs 5]
 */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openEngine } from '../../src/engine/open.ts';
import { coldDisk } from './cold-disk.ts';
import { machine, median, shell } from './harness.ts';
import { optionsOf } from './subject.ts';

const { values } = parseArgs({
  options: {
    work: { type: 'string' },
    image: { type: 'string' },
    drivers: { type: 'string', default: 'erofs,overlay2' },
    runs: { type: 'string', default: '5' },
  },
});
if (values.work === undefined) throw new Error('--work DIRECTORY is needed');
if (values.image === undefined) throw new Error('--image REFERENCE is needed');
const work = join(values.work, `rmi-${process.pid}`);
const image = values.image;

interface Cost {
  readonly wall: number;
  readonly cpu: number;
}

async function timed(run: () => Promise<unknown>): Promise<Cost> {
  const [start, before] = [performance.now(), process.cpuUsage()];
  await run();
  const { user, system } = process.cpuUsage(before);
  return { wall: performance.now() - start, cpu: (user + system) / 1000 };
}

const cell = (costs: readonly Cost[]): string =>
  (['wall', 'cpu'] as const)
    .map((kind) => costs.map((cost) => cost[kind]))
    .map((all) => `${Math.min(...all).toFixed(0)}, ${median(all).toFixed(0)}`)
    .join(' · ');

mkdirSync(work, { recursive: true });
using undo = new DisposableStack();
undo.defer(() => rmSync(work, { recursive: true, force: true }));
using disk = coldDisk(work, 8);
console.log(machine());
console.log('| wall ms · CPU ms (least, median) | name | space |\n|---|---|---|');
for (const driver of values.drivers.split(','))
  for (const cached of [true, false]) {
    const options = optionsOf(driver, join(disk.path, driver));
    mkdirSync(join(disk.path, driver), { mode: 0o700, recursive: true });
    const costs = { name: [] as Cost[], space: [] as Cost[] };
    for (let run = 0; run < Number(values.runs); run++) {
      {
        await using engine = await openEngine(options);
        await engine.pull(image);
      }
      shell(`sync -f ${disk.path}`);
      if (!cached) disk.forget();
      await using engine = await openEngine(options);
      await engine.driver();
      costs.name.push(await timed(() => engine.remove(image)));
      costs.space.push(await timed(() => engine.gc()));
    }
    const title = `${driver}, ${cached ? 'cached' : 'cold'}`;
    console.log(`| ${title} | ${cell(costs.name)} | ${cell(costs.space)} |`);
  }

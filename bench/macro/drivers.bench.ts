/**
 * Question: what does each storage driver cost, and what does it share?
 * Baseline: each other, on the same machine, each where it works: btrfs on btrfs, zfs in a pool, all others on ext4, on loop devices with direct I/O.
 * Unit: milliseconds of wall time, median of runs, durable where the operation is (`sync -f` is inside); MiB of disk and of page cache.
 *
 *     sudo unshare -m node bench/macro/drivers.bench.ts --work DIRECTORY [--image 127.0.0.1:5000/debian-python] [--drivers erofs,btrfs] [--runs 5] \
 *       [--result bench/results/drivers.json]
 *
 * Every driver of the tests' table that this machine can have. Without `--image` one of 4,000 small files in 4 layers is made. Pages are counted
 * of a second image, made here; before that everything is dropped from the page cache (`drop_caches`), so that the machine should have nothing else
 * to do. In a mount namespace of its own, because another one that copies its mounts keeps them from ending. FILE.json gets every sample, FILE.md the table.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { loopFileSystem } from '../../src/testing/drivers/environment.ts';
import { drivers } from '../../src/testing/drivers/table.ts';
import type { DriverSuite } from '../../src/testing/drivers/suite.ts';
import { BlobFixture } from '../../src/testing/image-fixture.ts';
import { driverTable } from './driver-report.ts';
import { type DriverCosts, measureDriver } from './driver-costs.ts';
import { LARGE_FILE, largeImage, manyFiles } from './driver-images.ts';
import { serveImages } from './fixture-registry.ts';
import { machine } from './harness.ts';

const { values } = parseArgs({
  options: {
    work: { type: 'string' },
    image: { type: 'string' },
    drivers: { type: 'string' },
    runs: { type: 'string', default: '5' },
    mib: { type: 'string', default: '24576' },
    result: { type: 'string' },
  },
});
if (values.work === undefined) throw new Error('--work DIRECTORY is needed: 20 GB of free space');
const directory = join(values.work, `drivers-${process.pid}`);
const wanted = values.drivers?.split(',');

/** Of the table, what a store can have by its name. */
const subjects = drivers.filter(({ name }) =>
  wanted === undefined ? /^[\w-]+$/.test(name) : wanted.includes(name),
);

async function measure(suite: DriverSuite, image: string, large: string): Promise<DriverCosts> {
  const place = suite.environment ?? loopFileSystem('ext4');
  const size = { mib: Number(values.mib), directory };
  await using environment = await place({ small: false, large: size });
  const mountless = suite.limits?.mountless !== undefined;
  const options = { image, large, largeFile: LARGE_FILE, runs: Number(values.runs), mountless };
  return await measureDriver(suite.name, environment, options);
}

mkdirSync(directory, { recursive: true });
using undo = new DisposableStack();
undo.defer(() => rmSync(directory, { recursive: true, force: true }));
const fixture = new BlobFixture();
const many = (await fixture.image(manyFiles(), { compression: 'zstd' })).descriptor;
const large = (await fixture.image(largeImage(), { compression: 'zstd' })).descriptor;
await using registry = await serveImages(fixture, { many, large });
const image = values.image ?? `${registry.host}/many:latest`;
const results: Record<string, DriverCosts> = {};
const skipped: Record<string, string> = {};
for (const suite of subjects) {
  const reason = suite.layerOf ? 'takes Windows images alone' : suite.skip;
  if (reason) {
    skipped[suite.name] = reason;
    continue;
  }
  console.error(`${suite.name} …`);
  try {
    results[suite.name] = await measure(suite, image, `${registry.host}/large:latest`);
  } catch (error) {
    skipped[suite.name] = String(error);
    process.exitCode = 1;
  }
}
const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();
const facts = { ...machine(), commit, image: values.image ?? '4,000 files in 4 layers' };
const page = driverTable(results, skipped, facts);
console.log(page);
if (values.result !== undefined) {
  const document = { ...facts, runs: Number(values.runs), results, skipped };
  writeFileSync(values.result, `${JSON.stringify(document, null, 1)}\n`);
  writeFileSync(values.result.replace(/(?:\.json)?$/, '.md'), `${page}\n`);
}

/** What one storage driver costs, in the place where it works. */
import {
  appendFileSync,
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  statfsSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Engine } from '../../src/engine/engine.ts';
import { openEngine } from '../../src/engine/open.ts';
import type { Environment } from '../../src/testing/drivers/suite.ts';
import { cachedBy } from './cached-by.ts';
import { SHARED } from './driver-images.ts';
import { shell } from './harness.ts';
import { filesBelow, readAll, resident } from './resident.ts';

export interface MeasureOptions {
  /** What is pulled, and what containers are made of. */
  readonly image: string;
  /** What has a large file, and files that are read. */
  readonly large: string;
  readonly largeFile: string;
  readonly runs: number;
  readonly mountless: boolean;
}

/** Milliseconds of each run; MiB. */
export interface DriverCosts {
  readonly pull: readonly number[];
  /** What the image takes on the disk, with its blobs. */
  readonly imageMib: number;
  readonly containers?: ContainerCosts;
  readonly pages?: PageCosts;
  /** The image with its layers and blobs, until their space is free. */
  readonly removeImage: readonly number[];
}

export interface ContainerCosts {
  readonly create: readonly number[];
  readonly mount: readonly number[];
  readonly copyUp: readonly number[];
  readonly diff: readonly number[];
  readonly commit: readonly number[];
  readonly remove: readonly number[];
  /** What ten containers take that each wrote 4 KiB. */
  readonly tenMib: number;
}

export interface PageCosts {
  /** Percent of what one container has read that is in memory for another. */
  readonly second: number;
  /** Page cache that containers cost which read 64 MiB each. */
  readonly mibForOne: number;
  readonly mibForTen: number;
}

const MIB = 1 << 20;
const CONTAINERS = 10;

/** Measures one thing after the other in stores below `environment.path`. */
export async function measureDriver(
  driver: string,
  environment: Environment,
  options: MeasureOptions,
): Promise<DriverCosts> {
  const subject = new Subject(driver, environment);
  const [pull, removeImage]: number[][] = [[], []];
  let imageMib = 0;
  for (let run = 0; run < options.runs; run++) {
    await using engine = await subject.open(`pull-${run}`);
    const before = await subject.used();
    pull!.push(await subject.durable(() => engine.pull(options.image)));
    imageMib = ((await subject.used()) - before) / MIB;
    removeImage!.push(
      await subject.durable(async () => {
        await engine.remove(options.image);
        await engine.gc();
      }),
    );
  }
  const rest = { pull: pull!, imageMib, removeImage: removeImage! };
  if (options.mountless) return rest;
  await using engine = await subject.open('containers');
  await engine.pull(options.image);
  await engine.pull(options.large);
  const containers = await measureContainers(subject, engine, options);
  return { ...rest, containers, pages: await measurePages(engine, options.large) };
}

/** A driver where it works. */
class Subject {
  readonly #driver: string;
  readonly #environment: Environment;
  #layers = '';

  constructor(driver: string, environment: Environment) {
    this.#driver = driver;
    this.#environment = environment;
  }

  async open(name: string): Promise<Engine> {
    const root = join(this.#environment.path, name);
    this.#layers = join(root, 'layers');
    mkdirSync(root, { mode: 0o700 });
    const driverOptions = await this.#environment.options?.(this.#layers);
    return openEngine({ root, driver: this.#driver, driverOptions });
  }

  async used(): Promise<number> {
    const { path, space } = this.#environment;
    shell(`sync -f ${path}`);
    if (space !== undefined) return (await space(this.#layers)).used;
    const { blocks, bfree, bsize } = statfsSync(path);
    return (blocks - bfree) * bsize;
  }

  /** @returns milliseconds until what `run` does is on the disk */
  async durable(run: () => Promise<unknown>): Promise<number> {
    return timed(async () => {
      await run();
      shell(`sync -f ${this.#environment.path}`);
    });
  }
}

async function timed(run: () => unknown): Promise<number> {
  const start = performance.now();
  await run();
  return performance.now() - start;
}

async function measureContainers(
  subject: Subject,
  { containers }: Engine,
  { image, large, largeFile, runs }: MeasureOptions,
): Promise<ContainerCosts> {
  const [create, mount, copyUp, diff, commit, remove]: number[][] = Array.from(
    { length: 6 },
    () => [],
  );
  const make = (name: string, of: string) => containers.create(of, { name, options: {} });
  for (let run = 0; run < runs; run++) {
    create!.push(await timed(() => make('one', image)));
    mount!.push(await timed(() => containers.withTree('one', async () => {})));
    await containers.withTree('one', async (root) => edit(root));
    diff!.push(await timed(() => containers.changes('one')));
    commit!.push(await subject.durable(() => containers.commit('one')));
    remove!.push(await timed(() => containers.remove('one')));
    await make('two', large);
    await containers.withTree('two', async (root) => {
      copyUp!.push(await timed(() => writeByte(join(root, largeFile))));
    });
    await containers.remove('two');
  }
  const before = await subject.used();
  const names = Array.from({ length: CONTAINERS }, (_, i) => `ten-${i}`);
  for (const name of names) {
    await make(name, image);
    await containers.withTree(name, async (root) =>
      writeFileSync(join(root, 'written'), Buffer.alloc(4096, name)),
    );
  }
  const tenMib = ((await subject.used()) - before) / MIB;
  for (const name of names) await containers.remove(name);
  return {
    create: create!,
    mount: mount!,
    copyUp: copyUp!,
    diff: diff!,
    commit: commit!,
    remove: remove!,
    tenMib,
  };
}

/** What a small job leaves: some new files, one that grew, one that is gone. */
function edit(root: string): void {
  mkdirSync(join(root, 'job'));
  for (let i = 0; i < 20; i++)
    writeFileSync(join(root, 'job', `file-${i}`), Buffer.alloc(10_000, `${i}`));
  const [first, second] = readdirSync(root, { recursive: true, withFileTypes: true }).filter(
    (entry) => entry.isFile() && !entry.parentPath.endsWith('/job'),
  );
  if (first) appendFileSync(join(first.parentPath, first.name), 'more');
  if (second) rmSync(join(second.parentPath, second.name));
}

function writeByte(path: string): void {
  const fd = openSync(path, 'r+');
  writeSync(fd, 'x', 0);
  fsyncSync(fd);
  closeSync(fd);
}

async function measurePages({ containers }: Engine, large: string): Promise<PageCosts> {
  const names = Array.from({ length: CONTAINERS }, (_, i) => `page-${i}`);
  for (const name of names) await containers.create(large, { name, options: {} });
  try {
    const second = await together(containers, names.slice(0, 2), ([one, two]) => {
      const files = filesBelow(two!, SHARED);
      forget();
      readAll(one!, SHARED);
      return resident(two!, files);
    });
    const cachedFor = (count: number): Promise<number> =>
      together(containers, names.slice(0, count), (targets) => {
        forget();
        return cachedBy(() => targets.forEach((target) => readAll(target, SHARED))) / MIB;
      });
    return { second, mibForOne: await cachedFor(1), mibForTen: await cachedFor(CONTAINERS) };
  } finally {
    for (const name of names) await containers.remove(name);
  }
}

/** Lets `use` see the trees of containers, all mounted. */
async function together<T>(
  containers: Engine['containers'],
  names: readonly string[],
  use: (targets: readonly string[]) => T,
  mounted: readonly string[] = [],
): Promise<T> {
  const [name, ...rest] = names;
  if (name === undefined) return use(mounted);
  return containers.withTree(name, (root) => together(containers, rest, use, [...mounted, root]));
}

/** What is clean goes from the page cache of the whole machine. */
const forget = (): void => void shell('sync; echo 3 > /proc/sys/vm/drop_caches');

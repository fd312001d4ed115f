/**
 * Question: from how many layers on does one merged index pay?
 * Baseline: overlayfs over one EROFS mount for each layer. Against it: one EROFS mount of the merged index, seen through a bind
 * (a view) or an overlay with that single lower layer (a container).
 * Unit: CPU milliseconds of this process, in which all of it happens, medians. `first`: right after mounting, the tars in the page cache; `again`: a second time.
 *
 *     sudo node bench/macro/merged.bench.ts --work DIRECTORY [--depths 3,16,61,200,500] [--files 10000] [--runs 3]
 *
 * DIRECTORY should be on ext4, xfs or btrfs (EROFS mounts files of these directly). All images have the same number of files of
 * 4 KiB in 100 directories, spread evenly over their layers; files of one directory lie in as many layers as
 * can be.
 */
import { createHash } from 'node:crypto';
import {
  closeSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { mergeIndexes } from '../../src/erofs/merge.ts';
import { openIndex } from '../../src/erofs/read.ts';
import { writeIndex } from '../../src/erofs/write.ts';
import { lowerdirOption, type Mount } from '../../src/sys/mount-data.ts';
import { performMounts } from '../../src/sys/mount.ts';
import * as t from '../../src/testing/tree.ts';
import { unpackStack, type UnpackedLayer } from '../../src/testing/unpack-stack.ts';
import { machine, median } from './harness.ts';

const { values } = parseArgs({
  options: {
    work: { type: 'string' },
    depths: { type: 'string', default: '3,16,61,200,500' },
    files: { type: 'string', default: '10000' },
    runs: { type: 'string', default: '3' },
  },
});
if (values.work === undefined) throw new Error('--work DIRECTORY is needed');
const work = join(values.work, `merged-${process.pid}`);
const files = Number(values.files);
const DIRECTORIES = 100;
/** Overlayfs stacks no more. */
const MAX_LOWERS = 500;

const directoryOf = (file: number): string => {
  const n = file % DIRECTORIES;
  return `usr/lib/part-${n % 10}/unit-${n}`;
};

/** The layers of an image of that depth, base first. */
function layersOf(depth: number): Buffer[] {
  const perLayer = Math.ceil(files / depth);
  return Array.from({ length: depth }, (_, layer) => {
    const items: Record<string, t.Item> = {};
    const end = Math.min((layer + 1) * perLayer, files);
    for (let i = layer * perLayer; i < end; i++)
      items[`${directoryOf(i)}/file-${i}`] = t.file(Buffer.alloc(4096, `${i} `));
    return t.tarOf(t.tree(items));
  });
}

class Image implements Disposable {
  readonly layers: readonly UnpackedLayer[];
  readonly directory: string;
  #points = 0;

  constructor(layers: readonly UnpackedLayer[], directory: string) {
    this.layers = layers;
    this.directory = directory;
  }

  point(): string {
    const path = join(this.directory, `mnt-${this.#points++}`);
    mkdirSync(path);
    return path;
  }

  /** @returns the tars that it needs, in their order */
  merge(path: string): string[] {
    const indexes = this.layers.map(({ directory }) => openIndex(join(directory, 'index.erofs')));
    const { root, devices, read } = mergeIndexes(indexes);
    const fd = openSync(path, 'w');
    writeIndex(root, (chunk) => writeSync(fd, chunk), { devices, read });
    fsyncSync(fd);
    closeSync(fd);
    for (const index of indexes) index.close();
    const owners = new Map(this.layers.map((layer) => [layer.diffId.slice(7), layer.directory]));
    return devices.map(({ tag }) => join(owners.get(tag)!, 'layer.tar'));
  }

  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true });
  }
}

const erofs = (source: string, tars: readonly string[]): Mount => ({
  type: 'erofs',
  source,
  options: [...tars.map((tar) => `device=${tar}`), 'ro', 'nosuid', 'nodev'],
});

type Times = Map<string, number>;

async function timed<T>(times: Times, name: string, run: () => T | Promise<T>): Promise<T> {
  const before = process.cpuUsage();
  const result = await run();
  const { user, system } = process.cpuUsage(before);
  times.set(name, (user + system) / 1000);
  return result;
}

/** Both ways: the baseline mounts each layer, then stacks. */
async function stacked(image: Image, times: Times): Promise<void> {
  await using undo = new AsyncDisposableStack();
  const points = image.layers.map(() => image.point());
  await timed(times, 'mount, first', async () => {
    for (const [i, { directory }] of image.layers.entries()) {
      const mount = erofs(join(directory, 'index.erofs'), [join(directory, 'layer.tar')]);
      undo.use(await performMounts([mount], points[i]!));
    }
    undo.use(await performMounts([overlay(image, points.toReversed(), true)], image.point()));
  });
  const target = image.point();
  const mount = overlay(image, points.toReversed(), true);
  const next = await timed(times, 'mount, next', () => performMounts([mount], target));
  undo.use(next);
  await look(target, times);
}

async function merged(image: Image, times: Times, container: boolean): Promise<void> {
  await using undo = new AsyncDisposableStack();
  const index = join(image.directory, 'merged.erofs');
  const tars = await timed(times, 'build', () => image.merge(index));
  const point = image.point();
  const top: Mount = container
    ? overlay(image, [point], false)
    : { type: 'bind', source: point, options: ['rbind', 'ro'] };
  await timed(times, 'verify and mount, first', async () => {
    hashOf(index);
    undo.use(await performMounts([erofs(index, tars)], point));
    undo.use(await performMounts([top], image.point()));
  });
  const target = image.point();
  undo.use(await timed(times, 'mount, next', () => performMounts([top], target)));
  await look(target, times);
}

function overlay(image: Image, lowers: readonly string[], view: boolean): Mount {
  const own = image.point();
  for (const name of ['fs', 'work']) mkdirSync(join(own, name));
  const fs = join(own, 'fs');
  if (view) {
    // As a driver does it: the view's own directory on top, where there is room.
    const all = lowers.length < MAX_LOWERS ? [fs, ...lowers] : lowers;
    return { type: 'overlay', source: 'overlay', options: ['ro', lowerdirOption(all)] };
  }
  const upper = [`upperdir=${fs}`, `workdir=${join(own, 'work')}`];
  return { type: 'overlay', source: 'overlay', options: [...upper, lowerdirOption(lowers)] };
}

function hashOf(path: string): string {
  const hash = createHash('sha256');
  const fd = openSync(path, 'r');
  const buffer = Buffer.allocUnsafe(1 << 20);
  for (let read = readSync(fd, buffer); read > 0; read = readSync(fd, buffer))
    hash.update(buffer.subarray(0, read));
  closeSync(fd);
  return hash.digest('hex');
}

/** What somebody does with a tree: each thing twice. */
async function look(target: string, times: Times): Promise<void> {
  const all = Array.from({ length: files }, (_, i) => join(target, directoryOf(i), `file-${i}`));
  const missing = all.map((path) => `${path}.missing`);
  const twice = async (name: string, run: () => void): Promise<void> => {
    await timed(times, `${name}, first`, run);
    await timed(times, `${name}, again`, run);
  };
  await twice('lookups of what is not there', () => {
    for (const path of missing) statSync(path, { throwIfNoEntry: false });
  });
  await twice('find', () => list(target));
  await twice('stat of every file', () => {
    for (const path of all) lstatSync(path);
  });
  const buffer = Buffer.allocUnsafe(1 << 16);
  await twice('open and read of every file', () => {
    for (const path of all) {
      const fd = openSync(path, 'r');
      readSync(fd, buffer);
      closeSync(fd);
    }
  });
}

function list(directory: string): void {
  for (const entry of readdirSync(directory, { withFileTypes: true }))
    if (entry.isDirectory()) list(join(directory, entry.name));
}

const WAYS = {
  'overlay of layers': stacked,
  'merged, view': (image: Image, times: Times): Promise<void> => merged(image, times, false),
  'merged, container': (image: Image, times: Times): Promise<void> => merged(image, times, true),
} as const;

const numbers = (samples: readonly Times[], name: string): string =>
  samples.some((times) => times.has(name))
    ? median(samples.map((times) => times.get(name)!)).toFixed(1)
    : '–';

mkdirSync(work, { recursive: true });
try {
  console.log(machine());
  for (const depth of values.depths.split(',').map(Number)) {
    const directory = join(work, String(depth));
    mkdirSync(directory);
    using image = new Image(await unpackStack(layersOf(depth), 'tar', directory), directory);
    const samples = Object.values(WAYS).map((): Times[] => []);
    for (let run = 0; run < Number(values.runs); run++)
      for (const [i, way] of Object.values(WAYS).entries()) {
        const times: Times = new Map();
        await way(image, times);
        samples[i]!.push(times);
      }
    console.log(
      `\n| ${depth} layers, CPU ms | ${Object.keys(WAYS).join(' | ')} |\n|---|---|---|---|`,
    );
    for (const name of new Set(samples.flatMap((all) => [...all[0]!.keys()])))
      console.log(`| ${name} | ${samples.map((all) => numbers(all, name)).join(' | ')} |`);
  }
} finally {
  rmSync(work, { recursive: true, force: true });
}

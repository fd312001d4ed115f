/**
 * Question: what does it cost to find out what a snapshot changed, and to make a layer of it?
 * Baseline: `tar -c` of the same directory, which finds out nothing, hashes nothing and keeps nothing.
 * Unit: files a second of CPU time; the image below has 55,000. Needs Linux.
 *
 *     node bench/micro/diff.bench.ts [DIRECTORY for the files, default the system's temporary one]
 */
import { mkdirSync, mkdtempDisposableSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { treeChanges, upperChanges } from '../../src/layer/diff/diff.ts';
import { writeLayerTar } from '../../src/layer/diff/tar.ts';
import { packChanges } from '../../src/layer/pack.ts';
import { Pace } from '../../src/io/pace.ts';
import { file, type Item, tarOf, tree } from '../../src/testing/tree.ts';
import { unpackStack } from '../../src/testing/unpack-stack.ts';
import { cpuOf, rounds } from './rounds.ts';

const IMAGE = 55_000;
const NEW = 5000;
const pathOf = (index: number): string =>
  `usr/lib/node_modules/package-${Math.floor(index / 30)}/lib/module-${index}.js`;

using directory = mkdtempDisposableSync(join(process.argv[2] ?? tmpdir(), 'mica-bench-'));
const work = directory.path;

const image = Array.from({ length: IMAGE }, (_, index): [string, Item] => [
  pathOf(index),
  file('x'.repeat(index % 3000)),
]);
const [below] = await unpackStack([tarOf(tree(image))], 'direct', work);
const parents = [below!.directory];
const copied = { seconds: Math.floor(Date.now() / 1000) + 1, nanoseconds: 0 };

function fill(name: string, paths: readonly string[], size: number): string {
  const root = join(work, name);
  for (const [index, path] of paths.entries()) {
    mkdirSync(join(root, path, '..'), { recursive: true });
    writeFileSync(join(root, path), Buffer.alloc(size, index));
  }
  return root;
}

const few = fill(
  'few',
  Array.from({ length: 10 }, (_, index) => pathOf(index * 500)),
  100,
);
const many = fill(
  'many',
  Array.from({ length: NEW }, (_, index) => pathOf(IMAGE + index)),
  8192,
);
const upperOf = (path: string) => ({ path, whiteouts: 'overlay' }) as const;

const gnu = (path: string) => ({
  name: 'tar -c',
  // Through a pipe: GNU tar does not read files that go to /dev/null.
  run: () => cpuOf('bash', ['-c', 'tar -C "$1" -c . | cat', 'bash', path]),
});
const diff = (path: string) => ({
  name: 'changes',
  run: async () => void (await upperChanges(upperOf(path), { parents })),
});
const archive = (path: string) => ({
  name: 'changes and archive',
  run: async () => {
    const changes = await upperChanges(upperOf(path), { parents });
    await writeLayerTar(changes, () => {}, new Pace());
  },
});
let layers = 0;
const layer = (path: string) => ({
  name: 'layer: hashed, indexed, on the disk',
  run: async () => {
    const target = join(work, `layer-${layers++}`);
    mkdirSync(target);
    await packChanges(await upperChanges(upperOf(path), { parents }), target);
  },
});

console.log(`\n10 changes to an image of ${IMAGE} files\n`);
await rounds([gnu(few), diff(few), archive(few), layer(few)], {
  amount: 10,
  unit: 'files',
  runs: 9,
});

console.log(`\n${NEW} new files of 8 KiB\n`);
const manyRuns = { amount: NEW, unit: 'files', runs: 7 };
await rounds([gnu(many), diff(many), archive(many), layer(many)], manyRuns);

console.log(`\nthe whole tree against its parent, without an upper directory\n`);
const whole = join(below!.directory, 'fs');
const compare = (name: string, since?: typeof copied) => ({
  name,
  run: async () => void (await treeChanges(whole, { parents, since })),
});
const comparisons = [
  gnu(whole),
  compare('compared, contents of all files, too'),
  compare('compared, contents of those that were touched', copied),
];
await rounds(comparisons, { amount: IMAGE, unit: 'files', runs: 5 });

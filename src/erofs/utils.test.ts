import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { listDirectory, listIndex } from '../testing/listing.ts';
import { needs } from '../testing/need.ts';
import { anyPlan, DEVICE, plant } from '../testing/nodes.ts';
import { openIndex } from './read.ts';
import { indexBytes } from './write.ts';

const skip = needs('erofs-utils');

function run(file: string, ...args: string[]): void {
  const { status, signal, stderr, stdout } = spawnSync(file, args, { encoding: 'utf8' });
  assert.equal(status, 0, `${file} ${args.join(' ')}: ${signal ?? ''} ${stdout} ${stderr}`);
}

test('fsck.erofs finds nothing wrong with any index', { skip }, async () => {
  await using directory = await mkdtempDisposable(join(tmpdir(), 'erofs-'));
  const [image, device] = [join(directory.path, 'image'), join(directory.path, 'device')];
  writeFileSync(device, DEVICE);
  fc.assert(
    fc.property(anyPlan({ unaligned: true }), (plan) => {
      const bytes = indexBytes(plant(plan), {
        devices: [{ tag: 'ab'.repeat(32), size: DEVICE.length }],
        read: (_device, physical, into) =>
          into.set(DEVICE.subarray(physical, physical + into.length)),
      });
      writeFileSync(image, bytes);
      run('fsck.erofs', `--device=${device}`, image);
    }),
    { numRuns: 20, endOnFailure: true },
  );
});

/** Without owners and times that only root could give. */
function makeTree(path: string): void {
  mkdirSync(join(path, 'many'), { recursive: true });
  for (const [i, size] of [0, 1, 511, 512, 513, 4095, 4096, 4097, 100_000].entries())
    writeFileSync(join(path, `file-${i}`), DEVICE.subarray(i, i + size));
  for (let i = 0; i < 500; i++) writeFileSync(join(path, 'many', `${'n'.repeat(i % 90)}${i}`), '');
  symlinkSync('somewhere', join(path, 'link'));
  symlinkSync('x'.repeat(3000), join(path, 'long'));
  writeFileSync(join(path, 'sparse'), 'start');
  truncateSync(join(path, 'sparse'), 1_000_000);
}

const FLAVOURS: readonly (readonly string[])[] = [
  [],
  ['-b512'],
  ['-Eforce-inode-compact'],
  ['-Eforce-inode-extended', '-Enoinline_data'],
  ['--chunksize=4096'],
  ['-Eforce-chunk-indexes', '--chunksize=8192'],
];

for (const flavour of FLAVOURS)
  test(
    `an image by mkfs.erofs ${flavour.join(' ')} reads as the tree that it was made of`,
    { skip },
    async () => {
      await using directory = await mkdtempDisposable(join(tmpdir(), 'erofs-'));
      const [tree, image] = [join(directory.path, 'tree'), join(directory.path, 'image')];
      makeTree(tree);
      run('mkfs.erofs', '--quiet', '--ignore-mtime', ...flavour, image, tree);
      using index = openIndex(image);
      const none = (): Uint8Array => assert.fail('there are no devices');
      const timeless = (files: ReturnType<typeof listDirectory>): unknown[] =>
        files.map(({ mtime: _, ...rest }) => rest);
      assert.deepEqual(timeless(listIndex(index, none)), timeless(listDirectory(tree)));
    },
  );

test('a compressed image lists, and refuses to tell what it does not know', { skip }, async () => {
  await using directory = await mkdtempDisposable(join(tmpdir(), 'erofs-'));
  const [tree, image] = [join(directory.path, 'tree'), join(directory.path, 'image')];
  mkdirSync(tree);
  writeFileSync(join(tree, 'zeros'), Buffer.alloc(1 << 20));
  run('mkfs.erofs', '--quiet', '-zlz4', image, tree);
  using index = openIndex(image);
  const file = index.lookup(index.root, 'zeros')!;
  assert.equal(index.stat(file).size, 1 << 20);
  assert.throws(() => index.extents(file), { code: 'NOT_IMPLEMENTED' });
});

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempDisposableSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import * as fc from 'fast-check';
import { type Listed, listDirectory, listIndex } from '../testing/listing.ts';
import { mountIndex } from '../testing/mounted-index.ts';
import { makeNastyTree } from '../testing/nasty-tree.ts';
import { needs } from '../testing/need.ts';
import { anyPlan, DEVICE, plant } from '../testing/nodes.ts';
import { Node, S_IFDIR, S_IFREG } from './node.ts';
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

/** Trees that are hard because they are large. */
const LARGE: readonly (readonly [what: string, grow: (root: Node) => void])[] = [
  [
    'a directory of 100,000 names',
    (root) => {
      for (let i = 0; i < 100_000; i++) root.children!.set(`${i}`, new Node(S_IFREG | 0o644));
    },
  ],
  [
    '400 xattrs of each of two files, and values of 65,535 bytes',
    (root) => {
      for (const name of ['a', 'b']) {
        const node = new Node(S_IFREG | 0o644);
        node.xattrs = Array.from({ length: 400 }, (_, i) => ({
          name: `user.${i}`,
          value: Buffer.alloc(i === 7 ? 65_535 : i, name),
        }));
        root.children!.set(name, node);
      }
    },
  ],
  [
    'a file with a hole behind each of 1,000 blocks',
    (root) => {
      const node = new Node(S_IFREG | 0o644);
      node.extents = Array.from({ length: 1000 }, (_, i) => ({
        logical: i * 1024,
        device: 1,
        physical: (999 - i) * 512,
        length: 512,
      }));
      node.size = 1_024_000;
      root.children!.set('sieve', node);
    },
  ],
];

for (const [what, grow] of LARGE)
  test(`fsck.erofs finds nothing wrong with ${what}`, { skip }, async () => {
    await using work = await mkdtempDisposable(join(tmpdir(), 'erofs-'));
    const [image, device] = [join(work.path, 'image'), join(work.path, 'device')];
    const root = new Node(S_IFDIR | 0o755);
    grow(root);
    writeFileSync(device, DEVICE);
    writeFileSync(image, indexBytes(root, { devices: [{ tag: '', size: DEVICE.length }] }));
    run('fsck.erofs', `--device=${device}`, image);
  });

/** Options of mkfs.erofs; what is said of an image that is not the tree as it was. */
const FLAVOURS: readonly (readonly [options: string, altered?: string])[] = [
  [''],
  ['-b512'],
  ['-b1024 -Enoinline_data'],
  ['-b2048'],
  ['-b4096 -Eforce-inode-extended'],
  ['-Eforce-inode-compact --all-root --ignore-mtime -T1600000000', 'owners and times'],
  ['-Eforce-inode-compact --all-root --ignore-mtime -b512', 'owners and times'],
  ['--all-root -T0', 'owners and times'],
  ['--chunksize=4096'],
  ['--chunksize=65536 -b512'],
  ['--chunksize=8192 -Eforce-chunk-indexes -b1024'],
  ['--chunksize=1048576 -Eforce-chunk-indexes -b512'],
  ['--chunksize=4096 --blobdev=BLOB'],
  ['--chunksize=65536 --blobdev=BLOB -b4096'],
  ['-x0'],
  ['-x1 -b512'],
  ['-x-1', 'no xattrs'],
  ['-Exattr-name-filter --xattr-prefix=user.only'],
  ['--xattr-prefix=trusted.many --xattr-prefix=user.the -b512'],
  ['-Efragments --xattr-prefix=user.only'],
  ['-Eall-fragments'],
  ['--root-xattr-isize=200'],
  ['--hard-dereference', 'no hard links'],
  ['-Ededupe'],
  ['--dsunit=16'],
];

describe('an image by mkfs.erofs', () => {
  const needed = needs('root', 'erofs', 'loop', 'erofs-utils');
  const undo = new DisposableStack();
  let [work, tree] = ['', ''];
  let expected: Listed[] = [];
  before(() => {
    if (needed) return;
    work = undo.use(mkdtempDisposableSync(join(tmpdir(), 'erofs-'))).path;
    tree = join(work, 'tree');
    mkdirSync(tree);
    makeNastyTree(tree);
    expected = listDirectory(tree);
  });
  after(() => undo.dispose());

  for (const [options, altered] of FLAVOURS) {
    const like =
      altered === undefined ? 'the tree it was made of' : `the kernel shows it: ${altered}`;
    test(`${options || 'without options'} reads as ${like}`, { skip: needed }, () => {
      const [image, blob] = [join(work, 'image'), join(work, 'blob')];
      rmSync(image, { force: true });
      writeFileSync(blob, '');
      const words = options.replace('BLOB', blob).split(' ').filter(Boolean);
      run('mkfs.erofs', '--quiet', ...words, image, tree);
      const data = readFileSync(blob);
      using index = openIndex(image);
      const found = listIndex(index, (device, physical, length) => {
        assert.equal(device, 1);
        return data.subarray(physical, physical + length);
      });
      using _ = mountIndex(image, data.length > 0 ? [blob] : [], join(work, 'mounted'));
      assert.deepEqual(found, listDirectory(join(work, 'mounted')));
      if (altered === undefined) assert.deepEqual(found, expected);
    });
  }
});

const COMPRESSED = [
  '-zlz4',
  '-zlz4hc -C65536',
  '-zlz4 -Elegacy-compress',
  '-zlz4 -Eztailpacking',
  '-zlz4 -Efragments --xattr-prefix=user.note',
  '-zlz4 -Eall-fragments,dedupe',
  '-zlzma',
  '-zdeflate',
  '-zzstd',
];

for (const options of COMPRESSED)
  test(`an image by mkfs.erofs ${options} lists, and its files are refused`, { skip }, async () => {
    await using work = await mkdtempDisposable(join(tmpdir(), 'erofs-'));
    const [tree, image] = [join(work.path, 'tree'), join(work.path, 'image')];
    mkdirSync(tree);
    writeFileSync(join(tree, 'zeros'), Buffer.alloc(1 << 20));
    symlinkSync('zeros', join(tree, 'link'));
    run('mkfs.erofs', '--quiet', ...options.split(' '), image, tree);
    using index = openIndex(image);
    assert.equal(index.readlink(index.lookup(index.root, 'link')!), 'zeros');
    const file = index.lookup(index.root, 'zeros')!;
    assert.equal(index.stat(file).size, 1 << 20);
    assert.throws(() => index.extents(file), { code: 'NOT_IMPLEMENTED', message: /compressed/ });
  });

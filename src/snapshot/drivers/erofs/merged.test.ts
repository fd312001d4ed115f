import assert from 'node:assert/strict';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Node, S_IFDIR, S_IFREG, UNMAPPED_DEVICE } from '../../../erofs/node.ts';
import { indexBytes } from '../../../erofs/write.ts';
import { sha256 } from '../../../oci/digest.ts';
import type { Mount } from '../../../sys/mount-data.ts';
import { performMounts } from '../../../sys/mount.ts';
import { readMountinfo } from '../../../sys/mountinfo.ts';
import { ErofsLayers } from '../../../testing/erofs-layers.ts';
import { saidOfLimit, underFileLimit } from '../../../testing/file-limit.ts';
import { within } from '../../../testing/mounted.ts';
import { needs } from '../../../testing/need.ts';
import * as t from '../../../testing/tree.ts';
import type { Driver, Snapshot } from '../../driver.ts';

const skip = needs('root', 'overlay', 'erofs');

class Store implements AsyncDisposable {
  readonly layers: ErofsLayers;
  readonly target: string;
  readonly #root: string;

  constructor(root: string, mergeFrom: number) {
    this.#root = root;
    this.layers = new ErofsLayers(root, { mergeFrom });
    this.target = join(root, 'target');
    mkdirSync(this.target);
  }

  get driver(): Driver {
    return this.layers.driver;
  }

  layer(id: string): string {
    return join(this.layers.directory, id);
  }

  /** Layers `1` and up, base first. @returns their ids, nearest first */
  async unpack(...layers: readonly t.Items[]): Promise<string[]> {
    for (const [n, items] of layers.entries()) await this.layers.add(String(n + 1), t.tree(items));
    return layers.map((_, n) => String(n + 1)).toReversed();
  }

  /** A layer whose index does not say where its one file's data are. */
  async unpackUnmapped(id: string): Promise<void> {
    const [root, file] = [new Node(S_IFDIR | 0o755), new Node(S_IFREG | 0o644)];
    file.size = 100;
    file.extents = [{ logical: 0, device: UNMAPPED_DEVICE, physical: 0, length: 100 }];
    root.children!.set('unmapped', file);
    await this.driver.create({ id, kind: 'committed', parents: [] });
    const index = indexBytes(root, { devices: [{ tag: 'ab'.repeat(32), size: 1024 }] });
    writeFileSync(join(this.layer(id), 'index.erofs'), index);
    writeFileSync(join(this.layer(id), 'layer.tar'), Buffer.alloc(1024));
    this.layers.recorded.set(id, sha256(index));
  }

  async view(parents: readonly string[]): Promise<readonly Mount[]> {
    const view: Snapshot = { id: 'view', kind: 'view', parents };
    await this.driver.create(view);
    return this.driver.mounts!(view);
  }

  /** Files in the directory of a layer that the merged index of a stack is in, or was. */
  kept(id: string): string[] {
    return readdirSync(this.layer(id)).filter((name) => name.startsWith('merged'));
  }

  /** What is mounted in this store. */
  mounted(): string[] {
    return readMountinfo()
      .map(({ target }) => target)
      .filter((target) => target.startsWith(`${this.#root}/`));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.layers[Symbol.asyncDispose]();
  }
}

const merging = (title: string, body: (store: Store) => Promise<void>, mergeFrom = 2): void => {
  test(title, { skip }, async () => {
    await using scratch = await mkdtempDisposable(join(tmpdir(), 'mica-merged-'));
    await using store = new Store(scratch.path, mergeFrom);
    await body(store);
  });
};

const THREE: readonly t.Items[] = [
  { a: t.file('1'), 'd/x': t.file('x'), gone: t.file('') },
  { a: t.file('2'), gone: t.whiteout() },
  { 'd/y': t.file('y'), '': t.dir({ mode: 0o711, uid: 4 }) },
];

merging('a view of a deep stack is a bind of one mount', async (store) => {
  const parents = await store.unpack(...THREE);
  const mounts = await store.view(parents);
  assert.deepEqual(
    mounts.map(({ type }) => type),
    ['erofs', 'bind'],
  );
  await within(mounts, store.target, (root) => {
    assert.deepEqual(readdirSync(root).sort(), ['a', 'd']);
    assert.equal(readFileSync(join(root, 'a'), 'utf8'), '2');
    assert.throws(() => writeFileSync(join(root, 'new'), ''), { code: 'EROFS' });
  });
  assert.equal(store.mounted().length, 1);
});

merging('what is written on a deep stack is an overlay over one mount', async (store) => {
  const parents = await store.unpack(...THREE);
  const active: Snapshot = { id: '9', kind: 'active', parents };
  await store.driver.create(active);
  const mounts = await store.driver.mounts!(active);
  assert.deepEqual(
    mounts.map(({ type }) => type),
    ['erofs', 'overlay'],
  );
  await within(mounts, store.target, (root) => rmSync(join(root, 'd/x')));
  await within(mounts, store.target, (root) =>
    assert.deepEqual(readdirSync(join(root, 'd')), ['y']),
  );
});

merging(
  'a stack that is not deep has a mount for each layer, which others share',
  async (store) => {
    const parents = await store.unpack(...THREE);
    const mounts = await store.view(parents);
    assert.equal(mounts.filter(({ type }) => type === 'erofs').length, 3);
    assert.deepEqual(store.kept('3'), []);
    const again = await store.view([...parents, ...parents]);
    assert.equal(again.filter(({ type }) => type === 'erofs').length, 3);
  },
  4,
);

merging('a merged index is kept, and made again when it is lost or damaged', async (store) => {
  const parents = await store.unpack(...THREE);
  const before = await store.view(parents);
  const [name = ''] = store.kept('3');
  assert.match(name, /^merged-[0-9a-f]{16}-[0-9a-f]{64}\.erofs$/);
  const path = join(store.layer('3'), name);
  const bytes = readFileSync(path);
  for (const spoil of [
    () => rmSync(path),
    () => appendFileSync(path, 'x'),
    () => writeFileSync(path, 'nothing of the kind'),
    () => writeFileSync(path, bytes.with(bytes.length - 1, 1)),
    // As another process sees it that has found its name while this one removes it.
    () => {
      rmSync(path);
      symlinkSync('gone', path);
    },
  ]) {
    spoil();
    assert.deepEqual(await store.view(parents), before);
    assert.deepEqual(store.kept('3'), [name]);
    assert.deepEqual(readFileSync(path), bytes);
  }
});

merging('a layer that was given another index is merged anew', async (store) => {
  const parents = await store.unpack(...THREE);
  const before = await store.view(parents);
  await using _ = await performMounts(before, store.target);
  await store.layers.add('1', t.tree({ mended: t.file('m') }));
  const after = await store.view(parents);
  assert.notEqual(after[0]!.target, before[0]!.target);
  await within(after, store.target, (root) => assert.ok(existsSync(join(root, 'mended'))));
});

merging('one that is mounted is mounted once, and not verified again', async (store) => {
  const parents = await store.unpack(...THREE);
  const mounts = await store.view(parents);
  await using _ = await performMounts(mounts, store.target);
  rmSync(join(store.layer('3'), store.kept('3')[0]!));
  assert.deepEqual(await store.view(parents), mounts);
  rmSync(join(store.layer('1'), 'layer.tar'));
  assert.deepEqual(await store.view(parents), mounts);
  await using _second = await performMounts(await store.view(parents), store.target);
  assert.equal(store.mounted().filter((target) => target.includes('/run/')).length, 1);
});

merging('many that make it at once leave one file, and agree on it', async (store) => {
  const parents = await store.unpack(...THREE);
  const view: Snapshot = { id: 'view', kind: 'view', parents };
  await store.driver.create(view);
  const all = await Promise.all(
    Array.from({ length: 8 }, async () => store.layers.another().mounts!(view)),
  );
  for (const mounts of all) assert.deepEqual(mounts, all[0]);
  assert.equal(store.kept('3').length, 1);
});

merging('what a process left half written goes when the next one writes', async (store) => {
  const parents = await store.unpack(...THREE);
  await store.view(parents);
  const [name = ''] = store.kept('3');
  const left = ['000000000000', '111111111111'].map((id) =>
    join(store.layer('3'), `${name.slice(0, 23)}-${id}.new`),
  );
  for (const path of left) writeFileSync(path, 'half');
  utimesSync(left[0]!, 1, 1);
  rmSync(join(store.layer('3'), name));
  await store.view(parents);
  assert.deepEqual(left.map(existsSync), [false, true], 'one may still be at work');
});

merging('a damaged layer is not merged', async (store) => {
  const parents = await store.unpack(...THREE);
  appendFileSync(join(store.layer('2'), 'index.erofs'), 'x');
  await assert.rejects(store.view(parents), { code: 'DATA_LOSS' });
  assert.deepEqual(store.kept('3'), []);
});

merging('a layer that has lost its tar is not mounted', async (store) => {
  const parents = await store.unpack(...THREE);
  await store.view(parents);
  rmSync(join(store.layer('1'), 'layer.tar'));
  await assert.rejects(store.view(parents), { code: 'DATA_LOSS' });
});

merging('layers that cannot be merged are stacked, unless they are too many', async (store) => {
  const parents = await store.unpack(...THREE);
  await store.unpackUnmapped('4');
  const mounts = await store.view(['4', ...parents]);
  assert.equal(mounts.at(-1)!.type, 'overlay');
  await within(mounts, store.target, (root) =>
    assert.deepEqual(readdirSync(root).sort(), ['a', 'd', 'unmapped']),
  );
  const many = Array.from({ length: 498 }, (_, n) => String(n + 5));
  for (const id of many) await store.unpackUnmapped(id);
  await assert.rejects(store.view([...many, ...parents]), { code: 'FAILED_PRECONDITION' });
});

merging('a merged mount lasts as long as something stands on its layers', async (store) => {
  const parents = await store.unpack(...THREE);
  const mounts = await store.view(parents);
  await within(mounts, store.target, () => {});
  const [one, other] = [parents, parents.slice(1)].map(
    (below, n): Snapshot => ({ id: String(7 + n), kind: 'active', parents: below }),
  );
  await store.driver.release!(() => [one!, other!]);
  assert.equal(store.mounted().length, 1);
  await store.driver.release!(() => [other!]);
  assert.deepEqual(store.mounted(), []);
});

merging('with the nearest layer go the merged index and its mount', async (store) => {
  const parents = await store.unpack(...THREE);
  const mounts = await store.view(parents);
  await within(mounts, store.target, () => {});
  await store.driver.remove({ id: '3', kind: 'committed', parents: [] });
  assert.deepEqual(store.mounted(), []);
  assert.deepEqual(readdirSync(join(store.layer('3'), '..', '..', 'run', 'layers')), []);
});

merging('a stack of 600 layers is one mount, to look at and to write on', async (store) => {
  const layers = Array.from({ length: 600 }, (_, n) => ({ [`f${n}`]: t.file(`${n}`) }));
  const parents = await store.unpack(...layers);
  await within(await store.view(parents), store.target, (root) => {
    assert.equal(readdirSync(root).length, 600);
    assert.equal(readFileSync(join(root, 'f599'), 'utf8'), '599');
  });
  const active: Snapshot = { id: '999', kind: 'active', parents };
  await store.driver.create(active);
  assert.ok(await store.driver.inspect(active));
  await within(await store.driver.mounts!(active), store.target, (root) =>
    writeFileSync(join(root, 'new'), ''),
  );
  assert.ok(existsSync(join(store.layer('999'), 'fs', 'new')));
});

merging('a merged index that becomes larger than files may be is named', async (store) => {
  const names = Array.from({ length: 1000 }, (_, n) => [`${n}-${'x'.repeat(40)}`, t.file('')]);
  const parents = await store.unpack(Object.fromEntries(names), { other: t.file('') });
  const [directory] = parents.map((id) => store.layer(id));
  const indexes = parents.map((id) => join(store.layer(id), 'index.erofs')).toReversed();
  const module = import.meta.resolve('./merged-index.ts');
  const said = underFileLimit(`
    import { makeMerged } from ${JSON.stringify(module)};
    const merging = { indexes: ${JSON.stringify(indexes)}, identity: 'x' };
    try {
      makeMerged(${JSON.stringify(directory)}, '0123456789abcdef', merging);
    } catch (error) {
      told(error);
    }`);
  const path = /write (\S*): file/.exec(said)?.[1] ?? '';
  assert.ok(path.startsWith(join(directory!, 'merged-0123456789abcdef-')), said);
  assert.ok(said.startsWith(saidOfLimit(path)), said);
  assert.deepEqual(readdirSync(directory!).sort(), ['index.erofs', 'layer.tar']);
});

import assert from 'node:assert/strict';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { isCode } from '../../errors.ts';
import { performMounts } from '../../sys/mount.ts';
import { readMountinfo } from '../../sys/mountinfo.ts';
import { ErofsLayers } from '../../testing/erofs-layers.ts';
import { needs } from '../../testing/need.ts';
import { dir, file, hardlink, type Tree, tree, whiteout } from '../../testing/tree.ts';
import type { ErofsOptions } from './erofs.ts';

const skip = needs('root', 'overlay', 'erofs');

interface Context {
  readonly layers: ErofsLayers;
  /** Existing directories to mount on. */
  readonly here: string;
  readonly there: string;
  readonly root: string;
}

async function within(
  run: (context: Context) => Promise<void>,
  options: Partial<ErofsOptions> & { readonly on?: string } = {},
): Promise<void> {
  await using scratch = await mkdtempDisposable(join(options.on ?? tmpdir(), 'mica-erofs-'));
  const [here, there, root] = ['here', 'there', 'root'].map((name) => join(scratch.path, name));
  for (const path of [here, there, root]) mkdirSync(path!);
  await using layers = new ErofsLayers(root!, options);
  await run({ layers, here: here!, there: there!, root: root! });
}

const view = (id: string, parents: readonly string[]) => ({ id, kind: 'view', parents }) as const;
const active = (id: string, parents: readonly string[]) =>
  ({ id, kind: 'active', parents }) as const;
const BASE = tree({ 'etc/a': file('one'), 'etc/b': file('two'), gone: file('x') });
const TOP = tree({ 'etc/b': file('three'), gone: whiteout(), opaque: dir({ opaque: true }) });

const erofsMounts = (root: string): string[] =>
  readMountinfo()
    .filter(({ type, target }) => type === 'erofs' && target.startsWith(root))
    .map(({ target }) => target.slice(root.length))
    .sort();

test('what is written after a commit that failed is in the next one', { skip }, () =>
  within(async ({ layers: { driver, directory } }) => {
    const snapshot = active('1', []);
    await driver.create(snapshot);
    const write = (name: string): void =>
      writeFileSync(join(directory, snapshot.id, 'fs', name), '');
    // Where what is discarded goes there is no directory: it fails when all is packed.
    const trash = join(directory, '.trash');
    writeFileSync(trash, '');
    write('a');
    await assert.rejects(driver.seal!(snapshot));
    write('b');
    rmSync(trash);
    assert.equal((await driver.seal!(snapshot))?.stats['files'], 2);
    // Repeated, as after a crash.
    assert.equal((await driver.seal!(snapshot))?.stats['files'], 2);
  }),
);

test(
  'two containers stand on one mount of each layer, whose pages are in memory once',
  { skip },
  () =>
    within(async ({ layers, here, there, root }) => {
      await layers.add('1', BASE);
      await layers.add('2', TOP);
      await using _a = await layers.mount(active('3', ['2', '1']), here);
      const device = statSync(join(root, 'run/layers/1')).dev;
      await using _b = await layers.mount(active('4', ['2', '1']), there);
      assert.deepEqual(erofsMounts(root), ['/run/layers/1', '/run/layers/2']);
      assert.equal(statSync(join(root, 'run/layers/1')).dev, device);
      writeFileSync(join(here, 'etc/a'), 'changed');
      assert.equal(readFileSync(join(there, 'etc/a'), 'utf8'), 'one');
      assert.equal(readFileSync(join(there, 'etc/b'), 'utf8'), 'three');
      assert.deepEqual(readdirSync(there).sort(), ['etc', 'opaque']);
    }),
);

test('a layer is mounted until nothing needs it, and again when something does', { skip }, () =>
  within(async ({ layers, here, root }) => {
    const { driver } = layers;
    await layers.add('1', BASE);
    await layers.add('2', TOP);
    {
      await using _ = await layers.mount(view('3', ['2', '1']), here);
      await driver.release!(() => [view('3', ['2', '1'])]);
      assert.deepEqual(erofsMounts(root), ['/run/layers/1', '/run/layers/2']);
      await driver.release!(() => [view('4', ['2'])]);
      // Whoever has it keeps it.
      assert.equal(readFileSync(join(here, 'etc/a'), 'utf8'), 'one');
    }
    assert.deepEqual(erofsMounts(root), ['/run/layers/2']);
    await using _ = await performMounts(await driver.mounts!(view('3', ['2', '1'])), here);
    assert.deepEqual(erofsMounts(root), ['/run/layers/1', '/run/layers/2']);
  }),
);

test('removing a layer takes its mount away, and the mount point', { skip }, () =>
  within(async ({ layers, here, root }) => {
    await layers.add('1', BASE);
    await (await layers.mount(view('2', ['1']), here))[Symbol.asyncDispose]();
    await layers.driver.remove({ id: '1', kind: 'committed', parents: [] });
    assert.deepEqual(readdirSync(join(root, 'run/layers')), []);
    await layers.driver.purge!();
    assert.deepEqual(readdirSync(layers.directory).sort(), ['.trash', '2']);
  }),
);

test('what was mounted of a store that is no more does not show in a new one', { skip }, () =>
  within(async ({ layers, here, there, root }) => {
    await layers.add('1', BASE);
    await using old = await layers.mount(view('2', ['1']), here);
    rmSync(layers.directory, { recursive: true });
    await using again = new ErofsLayers(root);
    await again.add('1', tree({ other: file('new') }));
    await using _ = await again.mount(view('2', ['1']), there);
    assert.deepEqual(readdirSync(there), ['other']);
    assert.equal(readFileSync(join(here, 'etc/a'), 'utf8'), 'one');
    await old[Symbol.asyncDispose]();
  }),
);

const DAMAGES: readonly (readonly [
  what: string,
  damage: (layer: string, layers: ErofsLayers) => void,
  message: RegExp,
])[] = [
  [
    'an index with another byte',
    (layer) => appendFileSync(`${layer}/index.erofs`, '\0'),
    /not the one/,
  ],
  ['an index that nobody recorded', (_, { recorded }) => recorded.delete('1'), /did not write it/],
  ['no index', (layer) => rmSync(`${layer}/index.erofs`), /index is missing/],
  ['no tar', (layer) => rmSync(`${layer}/layer.tar`), /layer\.tar is missing/],
  [
    'a tar that was cut off',
    (layer) => truncateSync(`${layer}/layer.tar`, 1024),
    /1024 bytes instead/,
  ],
];

for (const [what, damage, message] of DAMAGES)
  test(`${what} is refused before it is mounted, with advice`, { skip }, () =>
    within(async ({ layers, here, root }) => {
      await layers.add('1', BASE);
      await layers.driver.create(view('2', ['1']));
      damage(join(layers.directory, '1'), layers);
      await assert.rejects(
        layers.driver.mounts!(view('2', ['1'])),
        (error: Error) =>
          isCode(error, 'DATA_LOSS') &&
          message.test(error.message) &&
          /check --repair/.test(error.message),
      );
      assert.deepEqual([erofsMounts(root), readdirSync(here)], [[], []]);
    }),
  );

/** The second layer has another name for a file of the first, and nothing of it. */
const LINKING: readonly Tree[] = [
  tree({ big: file('of the base'.repeat(1000)) }),
  tree({ 'a/link': hardlink('big') }),
];

test('a layer that links files of the layer below is read from both tars', { skip }, () =>
  within(async ({ layers, here }) => {
    await layers.add('1', LINKING[0]!);
    await layers.add('2', tree({ between: file('x') }), ['1']);
    await layers.add('3', LINKING[1]!, ['2', '1']);
    {
      await using _ = await layers.mount(view('4', ['3', '2', '1']), here);
      assert.equal(readFileSync(join(here, 'a/link'), 'utf8'), 'of the base'.repeat(1000));
      assert.deepEqual(readdirSync(here).sort(), ['a', 'between', 'big']);
    }
    await layers.driver.create(view('5', ['3', '2']));
    await layers.driver.release!(() => []);
    await assert.rejects(layers.driver.mounts!(view('5', ['3', '2'])), (error) =>
      isCode(error, 'DATA_LOSS'),
    );
  }),
);

test(
  '500 mounts of layers can be stacked, and written on; more are refused with advice',
  { skip },
  () =>
    within(
      async ({ layers, here }) => {
        const ids = Array.from({ length: 501 }, (_, n) => String(n));
        for (const id of ids) await layers.add(id, tree({ [`file-${id}`]: file(id) }));
        const parents = ids.slice(0, 500);
        for (const snapshot of [view('view', parents), active('active', parents)]) {
          await using _ = await layers.mount(snapshot, here);
          assert.equal(readdirSync(here).length, 500);
          assert.equal(readFileSync(join(here, 'file-7'), 'utf8'), '7');
        }
        await layers.driver.create(view('x', ids));
        await assert.rejects(layers.driver.mounts!(view('x', ids)), (error) =>
          isCode(error, 'NOT_IMPLEMENTED'),
        );
      },
      { mergeFrom: Infinity },
    ),
);

test('what was written is a layer once it is sealed, however often that is begun', { skip }, () =>
  within(async ({ layers, here }) => {
    const { driver, recorded, directory } = layers;
    await layers.add('1', BASE);
    {
      await using _ = await layers.mount(active('2', ['1']), here);
      writeFileSync(join(here, 'etc/a'), 'written');
      rmSync(join(here, 'gone'));
    }
    const facts = await driver.seal!(active('2', ['1']));
    assert.deepEqual(await driver.seal!(active('2', ['1'])), facts);
    assert.deepEqual(readdirSync(join(directory, '2')).sort(), ['index.erofs', 'layer.tar']);
    recorded.set('2', facts!.indexDigest);
    await using _ = await layers.mount(view('3', ['2', '1']), here);
    assert.deepEqual(readdirSync(here), ['etc']);
    assert.equal(readFileSync(join(here, 'etc/a'), 'utf8'), 'written');
    assert.deepEqual(readdirSync(join(here, 'etc')).sort(), ['a', 'b']);
  }),
);

test('directio is asked of the kernel when it is wanted', { skip }, () =>
  within(
    async ({ layers, here, root }) => {
      await layers.add('1', BASE);
      const [mount] = await layers.driver.mounts!(view('2', ['1']));
      assert.ok(mount!.options.includes('directio'));
      await using _ = await layers.mount(view('2', ['1']), here);
      assert.equal(readFileSync(join(here, 'etc/a'), 'utf8'), 'one');
      assert.equal(erofsMounts(root).length, 1);
    },
    { directio: true },
  ),
);

for (const name of ['colon:comma,and space', 'back\\slash', 'ü', 'l'.repeat(250)])
  test(`a store may be in a directory named ${name.slice(0, 30)}`, { skip }, async () => {
    await using scratch = await mkdtempDisposable(join(tmpdir(), 'mica-names-'));
    const [root, here] = [join(scratch.path, name, name), join(scratch.path, 'here')];
    for (const path of [root, here]) mkdirSync(path, { recursive: true });
    await using layers = new ErofsLayers(root);
    await layers.add('1', BASE);
    for (const id of ['2', '3']) {
      await using _ = await layers.mount(active(id, ['1']), here);
      assert.equal(readFileSync(join(here, 'etc/a'), 'utf8'), 'one');
    }
    assert.equal(existsSync(join(root, 'run/layers/1')), true);
  });

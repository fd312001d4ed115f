import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { Engine } from '../../src/engine/engine.ts';
import { isCode } from '../../src/errors.ts';
import { needs } from '../../src/testing/need.ts';
import { file, type Tree, tree, whiteout } from '../../src/testing/tree.ts';
import { openOrigin } from '../support/origin.ts';
import { mountsBelow, openTemporaryEngine } from '../support/store.ts';

/** Stores of driver erofs whose layers are mounted, damaged, mended and collected. */
const skip = needs('root', 'overlay', 'erofs');
const origin = openOrigin();
after(async () => (await origin)[Symbol.asyncDispose]());

const LAYERS: readonly Tree[] = [
  tree({ 'etc/name': file('of the base'), gone: file('x') }),
  tree({ 'etc/more': file('of the top'), gone: whiteout() }),
];

interface Pulled {
  readonly engine: Engine;
  readonly name: string;
  /** The store's directory. */
  readonly root: string;
  /** Of the base layer. */
  readonly base: string;
}

/** So many that they are one mount. */
const DEEP: readonly Tree[] = [
  ...LAYERS,
  ...Array.from({ length: 30 }, (_, n) => tree({ [`etc/file-${n}`]: file(String(n)) })),
];

async function withImage(
  run: (pulled: Pulled) => Promise<void>,
  layers: readonly Tree[] = LAYERS,
): Promise<void> {
  const there = await origin;
  await there.image('erofs/image', layers);
  await using engine = await openTemporaryEngine({ driver: 'erofs' });
  const name = `${new URL(there.url).host}/erofs/image`;
  await engine.pull(name);
  const { root } = await engine.info();
  try {
    await run({ engine, name, root, base: join(root, 'layers', '1') });
  } finally {
    for (const { target } of await engine.mounted()) await engine.unmount(target);
  }
  assert.deepEqual(mountsBelow(root), []);
}

/** Turns a byte of the content of `etc/name` in the tar. */
function damageTar(base: string): void {
  const tar = readFileSync(join(base, 'layer.tar'));
  tar.write('O', tar.indexOf('of the base'));
  writeFileSync(join(base, 'layer.tar'), tar);
}

test('an image is mounted without its files ever being extracted', { skip }, () =>
  withImage(async ({ engine, name, root }) => {
    const { target } = await engine.mount(name);
    assert.deepEqual(readdirSync(target), ['etc']);
    assert.equal(readFileSync(join(target, 'etc/name'), 'utf8'), 'of the base');
    for (const id of ['1', '2'])
      assert.deepEqual(readdirSync(join(root, 'layers', id)).sort(), ['index.erofs', 'layer.tar']);
    const { metadata } = await engine.usage();
    await engine.unmount(target);
    // What is mounted takes no room.
    assert.ok(Math.abs(metadata - (await engine.usage()).metadata) < 100_000);
  }),
);

for (const layers of [LAYERS, DEEP])
  test(
    `a damaged tar of ${layers.length} layers is found and mended; who has it mounted keeps it, others get the new one`,
    { skip },
    () =>
      withImage(async ({ engine, name, root, base }) => {
        const { target } = await engine.mount(name);
        damageTar(base);
        const { problems } = await engine.check({ repair: true });
        assert.deepEqual(
          problems.map(({ kind, repaired }) => [kind, repaired]),
          [['layer', true]],
        );
        const again = join(root, 'again');
        mkdirSync(again);
        await engine.mount(name, { target: again });
        assert.equal(readFileSync(join(again, 'etc/name'), 'utf8'), 'of the base');
        assert.equal(readFileSync(join(target, 'etc/name'), 'utf8'), 'Of the base');
        assert.ok(existsSync(join(target, 'etc/more')));
        assert.deepEqual((await engine.check()).problems, []);
      }, layers),
  );

test('a damaged index is not mounted, and is mended', { skip }, () =>
  withImage(async ({ engine, name, base }) => {
    const index = readFileSync(join(base, 'index.erofs'));
    index[index.length - 1]! ^= 1;
    writeFileSync(join(base, 'index.erofs'), index);
    await assert.rejects(engine.mount(name), (error) => isCode(error, 'DATA_LOSS'));
    assert.deepEqual(await engine.mounted(), []);
    const { problems } = await engine.check({ repair: true });
    assert.deepEqual(
      problems.map(({ repaired }) => repaired),
      [true],
    );
    const { target } = await engine.mount(name);
    assert.equal(readFileSync(join(target, 'etc/name'), 'utf8'), 'of the base');
  }),
);

test('what is collected leaves no mount and no mount point', { skip }, () =>
  withImage(async ({ engine, name, root }) => {
    const { target } = await engine.mount(name);
    await engine.unmount(target);
    assert.deepEqual(readdirSync(join(root, 'run/layers')).sort(), ['1', '2']);
    await engine.remove(name);
    await engine.gc();
    assert.deepEqual(readdirSync(join(root, 'run/layers')), []);
    assert.deepEqual(readdirSync(join(root, 'layers')), ['.trash']);
  }),
);

test(
  'the index that a deep image is mounted by is made while its pull waits for the disk',
  {
    skip,
  },
  async () => {
    const there = await origin;
    await there.image('erofs/deep', DEEP);
    const name = `${new URL(there.url).host}/erofs/deep`;
    for (const toMount of [false, true]) {
      await using engine = await openTemporaryEngine({ driver: 'erofs' });
      await engine.pull(name, { toMount });
      const { root } = await engine.info();
      const top = join(root, 'layers', String(DEEP.length));
      const merged = (): string[] => readdirSync(top).filter((one) => one.startsWith('merged-'));
      const made = merged();
      assert.equal(made.length, toMount ? 1 : 0);
      const { target } = await engine.mount(name);
      try {
        assert.equal(readFileSync(join(target, 'etc/file-29'), 'utf8'), '29');
        if (toMount) assert.deepEqual(merged(), made);
      } finally {
        await engine.unmount(target);
      }
    }
  },
);

test(
  'a deep image whose index cannot be made beforehand is pulled all the same; mounting says why',
  {
    skip,
  },
  async () => {
    const there = await origin;
    await there.image('erofs/deep', DEEP);
    const name = `${new URL(there.url).host}/erofs/deep`;
    await using engine = await openTemporaryEngine({ driver: 'erofs' });
    const { root } = await engine.info();
    const index = join(root, 'layers', '1', 'index.erofs');
    let base: string | undefined;
    await engine.pull(name, {
      toMount: true,
      onProgress: (event) => {
        if (event.type === 'layers') base = event.layers[0]!.digest;
        if (event.type === 'complete' && event.target.digest === base)
          writeFileSync(index, 'no index');
      },
    });
    assert.equal(readFileSync(index, 'utf8'), 'no index');
    assert.equal((await engine.image(name)).layers.length, DEEP.length);
    await assert.rejects(engine.mount(name), { code: 'DATA_LOSS' });
  },
);

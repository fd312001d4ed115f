import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { isCode } from '../../errors.ts';
import { S_IFCHR } from '../../erofs/node.ts';
import { AT_FDCWD, mknodat } from '../../sys/at.ts';
import { lowerdirOption } from '../../sys/mount-data.ts';
import { performMounts } from '../../sys/mount.ts';
import { inUserNamespace } from '../../sys/userns.ts';
import { describeDirectory } from '../../testing/describe.ts';
import { within } from '../../testing/mounted.ts';
import { testStoreNames } from '../../testing/store-names.ts';
import { needs } from '../../testing/need.ts';
import { StackViews } from '../../testing/stack-views.ts';
import { layerStacks } from '../../testing/stacks.ts';
import { dir as folder, file, tarOf, tree, whiteout, type Tree } from '../../testing/tree.ts';
import { unpackStack } from '../../testing/unpack-stack.ts';
import { fuseOverlayfs } from './fuse-overlayfs.ts';

const skip = needs('fuse-overlayfs');
const onOverlay = needs('fuse-overlayfs', 'overlay');
const mknodAt = (path: string): void => mknodat(AT_FDCWD, path, S_IFCHR, 0);
const open = fuseOverlayfs;

test('500 layers can be seen at once, and written on; more are refused', { skip }, async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'mica-deep-'));
  const driver = open(dir.path);
  const ids = Array.from({ length: 501 }, (_, n) => String(n));
  for (const id of ids) {
    await driver.create({ id, kind: 'committed', parents: [] });
    writeFileSync(join(dir.path, id, 'fs', `file-${id}`), '');
  }
  mkdirSync(join(dir.path, 'work'));
  const parents = ids.slice(0, 500);
  for (const kind of ['view', 'active'] as const) {
    const snapshot = { id: kind, kind, parents };
    await driver.create(snapshot);
    await within(await driver.mounts!(snapshot), join(dir.path, 'work'), (root) => {
      assert.equal(readdirSync(root).length, 500);
      if (kind === 'active') rmSync(join(root, 'file-499'));
    });
  }
  await assert.rejects(driver.mounts!({ id: 'x', kind: 'view', parents: ids }), (error) =>
    isCode(error, 'NOT_IMPLEMENTED'),
  );
});

testStoreNames(open, ['comma,and space', 'back\\slash', 'ü', 'l'.repeat(200)], skip);

test('a store with a colon in its path is refused with advice', { skip }, async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'mica-na:mes-'));
  const driver = open(dir.path);
  await driver.create({ id: '1', kind: 'committed', parents: [] });
  const active = { id: '2', kind: 'active', parents: ['1'] } as const;
  await driver.create(active);
  mkdirSync(join(dir.path, 'work'));
  await assert.rejects(performMounts(await driver.mounts!(active), join(dir.path, 'work')), {
    code: 'INVALID_ARGUMENT',
    message: /colon.*--root/,
  });
});

test(
  'a store may be on an overlay, where nobody makes a device 0:0',
  { skip: onOverlay },
  async () => {
    await using dir = await mkdtempDisposable(join(tmpdir(), 'mica-on-overlay-'));
    const [lower, upper, scratch, root, work] = ['l', 'u', 's', 'layers', 'work'].map((name) =>
      join(dir.path, name),
    );
    for (const path of [lower, upper, scratch, root, work]) mkdirSync(path!);
    const dirs = [lowerdirOption([lower!]), `upperdir=${upper}`, `workdir=${scratch}`];
    await using _ = await performMounts(
      [{ type: 'overlay', source: 'overlay', options: dirs }],
      root!,
    );
    assert.throws(() => mknodAt(join(root!, 'device')), { code: 'PERMISSION_DENIED' });
    const driver = open(root!);
    const layers = [
      tree({ 'd/gone': file('1'), 'd/kept': file('1'), 'e/hidden': file('1'), top: file('1') }),
      tree({ 'd/gone': whiteout(), e: folder({ opaque: true }), top: whiteout() }),
    ];
    const stack = await unpackStack(layers.map(tarOf), driver.form, root!);
    const parents = stack.map(({ directory: path }) => path.slice(root!.length + 1)).reverse();
    const active = { id: 'active', kind: 'active', parents } as const;
    await driver.create(active);
    await within(await driver.mounts!(active), work!, (path) => {
      assert.deepEqual(readdirSync(path).sort(), ['d', 'e']);
      assert.deepEqual(readdirSync(join(path, 'd')), ['kept']);
      assert.deepEqual(readdirSync(join(path, 'e')), []);
      rmSync(join(path, 'd/kept'));
      assert.deepEqual(readdirSync(join(path, 'd')), []);
    });
  },
);

test('with a map of ids, snapshots without parents are translated, too', { skip }, async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'mica-ids-'));
  const [layers, work] = [join(dir.path, 'layers'), join(dir.path, 'work')];
  for (const path of [layers, work]) mkdirSync(path);
  const driver = fuseOverlayfs(layers, { uidmapping: '0:7:1', gidmapping: '0:8:1' });
  const base = { id: '1', kind: 'active', parents: [] } as const;
  await driver.create(base);
  await within(await driver.mounts!(base), work, (root) => {
    assert.deepEqual([statSync(root).uid, statSync(root).gid], [7, 8]);
  });
  writeFileSync(join(layers, '1', 'fs', 'file'), 'x');
  const above = { id: '2', kind: 'view', parents: ['1'] } as const;
  await driver.create(above);
  await within(await driver.mounts!(above), work, (root) => {
    assert.equal(statSync(join(root, 'file')).uid, 7);
    assert.equal(readFileSync(join(root, 'file'), 'utf8'), 'x');
  });
});

// Their owners are more than a user namespace has.
if (!inUserNamespace())
  test('random layers look as they do one applied on the other', { skip }, async () => {
    await using work = await mkdtempDisposable(join(tmpdir(), 'mica-fuse-'));
    let run = 0;
    await fc.assert(
      fc.asyncProperty(layerStacks(), async (layers) => {
        const place = join(work.path, String(run++));
        const expected = await new StackViews(layers, place, { root: false }).direct();
        const [store, target] = [join(place, 'layers'), join(place, 'target')];
        for (const path of [store, target]) mkdirSync(path);
        const driver = open(store);
        const stack = await unpackStack(layers.map(tarOf), driver.form, store);
        // The program cannot show a directory over one (docs/drivers/fuse-overlayfs.md).
        fc.pre(
          !stack.some(({ directory }, at) => hasCircularLink(layers[at]!, join(directory, 'fs'))),
        );
        const parents = stack.map(({ directory }) => directory.slice(store.length + 1)).reverse();
        const view = { id: 'view', kind: 'view', parents } as const;
        await driver.create(view);
        await within(await driver.mounts!(view), target, (root) =>
          assert.equal(describeDirectory(root, { root: false }), expected),
        );
      }),
      { numRuns: 25 },
    );
  });

/** Whether one of `layer`'s symbolic links, unpacked to `root`, leads to itself, by whatever way. */
function hasCircularLink(layer: Tree, root: string): boolean {
  const links = layer.filter(({ type }) => type === 'symlink');
  return links.some(({ name }) => {
    try {
      statSync(join(root, name));
      return false;
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === 'ELOOP';
    }
  });
}

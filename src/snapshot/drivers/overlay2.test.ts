import assert from 'node:assert/strict';
import {
  chmodSync,
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { isCode } from '../../errors.ts';
import { inUserNamespace } from '../../sys/userns.ts';
import { setXattr } from '../../sys/xattr.ts';
import { listDirectory } from '../../testing/listing.ts';
import { materialise } from '../../testing/materialise.ts';
import { within } from '../../testing/mounted.ts';
import { testStoreNames } from '../../testing/store-names.ts';
import { needs } from '../../testing/need.ts';
import { dir as directory, file, tree, whiteout } from '../../testing/tree.ts';
import { overlay2 } from './overlay2.ts';

const skip = needs('overlay');
const open = (layers: string): ReturnType<typeof overlay2> =>
  overlay2(layers, { userxattr: inUserNamespace() });

test(
  '500 layers can be seen at once, and written on; more are refused with advice',
  { skip },
  async () => {
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
      await within(await driver.mounts!(snapshot), join(dir.path, 'work'), (root) =>
        assert.equal(readdirSync(root).length, 500),
      );
    }
    await assert.rejects(driver.mounts!({ id: 'x', kind: 'view', parents: ids }), (error) =>
      isCode(error, 'NOT_IMPLEMENTED'),
    );
  },
);

test('a layer on more others than can be mounted can be inspected, and names each once', async () => {
  const driver = overlay2('/layers');
  const parents = Array.from({ length: 501 }, (_, n) => String(n));
  const facts = await driver.inspect({ id: 'x', kind: 'committed', parents: [...parents, '7'] });
  assert.deepEqual(
    facts.LowerDir?.split(':'),
    parents.map((id) => `/layers/${id}/fs`),
  );
});

/** A view of unpacked layers; the upper one whites out `gone` and a directory's content. */
async function withLayers(look: (root: string) => void, ids: readonly string[]): Promise<void> {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'mica-view-'));
  const driver = open(dir.path);
  for (const id of ['1', '2', '3']) await driver.create({ id, kind: 'committed', parents: [] });
  const base = tree({
    '': directory({ mode: 0o711, uid: 5, gid: 6, mtime: 7, xattrs: { 'user.note': 'x' } }),
    gone: file('1'),
    'etc/kept': file('1'),
  });
  materialise(base, join(dir.path, '1', 'fs'));
  materialise(tree({ gone: whiteout(), etc: directory() }), join(dir.path, '2', 'fs'));
  const etc = openSync(join(dir.path, '2', 'fs', 'etc'), 'r');
  const opaque = `${inUserNamespace() ? 'user' : 'trusted'}.overlay.opaque`;
  setXattr(etc, opaque, Buffer.from('y'));
  closeSync(etc);
  for (const id of ['2', '3']) {
    chmodSync(join(dir.path, id, 'fs'), 0o755);
    utimesSync(join(dir.path, id, 'fs'), 0, 0);
  }
  const view = { id: '4', kind: 'view', parents: ids } as const;
  mkdirSync(join(dir.path, 'work'));
  await driver.create(view);
  await within(await driver.mounts!(view), join(dir.path, 'work'), look);
}

test(
  'a view of one layer shows what it holds, not how deletions are spelled',
  { skip: needs('root', 'overlay') },
  () =>
    withLayers(
      (root) => {
        const list = listDirectory(root);
        assert.ok(
          list.every(
            ({ mode, xattrs }) =>
              !mode.startsWith('020') &&
              Object.keys(xattrs).every((name) => !name.includes('overlay')),
          ),
        );
        assert.throws(() => readFileSync(join(root, 'gone')), { code: 'ENOENT' });
      },
      ['2'],
    ),
);

test(
  'the root of a view is that of the topmost layer that says anything about it',
  { skip: needs('root', 'overlay') },
  () =>
    withLayers(
      (root) => {
        const [top] = listDirectory(root);
        assert.deepEqual([top?.mode, top?.owner, top?.mtime], ['040711', '5:6', 7_000_000_000n]);
        assert.deepEqual(top?.xattrs, { 'user.note': '78' });
        assert.deepEqual(readdirSync(root), ['etc']);
        assert.deepEqual(readdirSync(join(root, 'etc')), []);
      },
      ['3', '2', '1'],
    ),
);

testStoreNames(open, ['colon:comma,and space', 'back\\slash', 'ü', 'l'.repeat(200)], skip);

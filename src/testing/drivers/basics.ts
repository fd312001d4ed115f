import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { listDirectory } from '../listing.ts';
import { materialise } from '../materialise.ts';
import { dir, fifo, file, hardlink, link, tree } from '../tree.ts';
import type { Checks } from './check.ts';
import { leftIn } from './stage.ts';
import type { DriverSuite } from './suite.ts';

/** The life of single snapshots. */
export function checkBasics({ check, see }: Checks, { limits }: DriverSuite): void {
  check('it says whether it can be mounted', async ({ driver }) =>
    assert.equal(driver.mounts === undefined, limits?.mountless !== undefined),
  );

  check(
    'create and remove repeat without harm, and nothing is left',
    async ({ driver, layers, create, remove }) => {
      const kinds = driver.mounts
        ? (['committed', 'active', 'view'] as const)
        : (['committed'] as const);
      for (const kind of kinds) {
        const snapshot = { id: '1', kind, parents: [] };
        await remove(snapshot);
        await create(snapshot);
        await create(snapshot);
        await remove(snapshot);
        await remove(snapshot);
        await driver.purge?.();
        await driver.purge?.();
        assert.deepEqual(leftIn(layers), []);
      }
    },
  );

  check('inspect tells facts about a layer, usage its size', async ({ driver, create }) => {
    const layer = { id: '1', kind: 'committed', parents: [] } as const;
    await create(layer);
    const facts = Object.entries(await driver.inspect(layer));
    assert.ok(facts.length > 0 && facts.every(([, value]) => value.length > 0));
    const { size, inodes } = await driver.usage(layer);
    assert.ok(size >= 0 && inodes >= 1);
  });

  see('a tree on nothing is open to all, whatever the umask', async ({ create, show }) => {
    const active = { id: '1', kind: 'active', parents: [] } as const;
    const umask = process.umask(0o077);
    try {
      await create(active);
    } finally {
      process.umask(umask);
    }
    await show(active, (root) => assert.equal(statSync(root).mode & 0o7777, 0o755));
  });

  see('a child sees its parent and hides what it deletes', async ({ commit, view }) => {
    await commit('1', [], (root) => {
      writeFileSync(join(root, 'keep'), '1');
      writeFileSync(join(root, 'drop'), '1');
    });
    await commit('2', ['1'], (root) => {
      writeFileSync(join(root, 'keep'), '2');
      rmSync(join(root, 'drop'));
    });
    await view(['2', '1'], (root) => {
      assert.deepEqual(readdirSync(root), ['keep']);
      assert.equal(readFileSync(join(root, 'keep'), 'utf8'), '2');
    });
    await view(['1'], (root) => assert.deepEqual(readdirSync(root).sort(), ['drop', 'keep']));
  });

  see('a view refuses writes, of no parents, one, and several', async ({ commit, view }) => {
    await commit('1', []);
    await commit('2', ['1']);
    for (const parents of [[], ['1'], ['2', '1']])
      await view(parents, (root) =>
        assert.throws(() => writeFileSync(join(root, 'x'), ''), { code: 'EROFS' }),
      );
  });

  see('a child changes nothing of its parent', async ({ commit, view }) => {
    const lists: unknown[] = [];
    await commit('1', [], (root) => materialise(NASTY, root));
    await view(['1'], (root) => lists.push(listDirectory(root)));
    await commit('2', ['1'], (root) => {
      writeFileSync(join(root, 'etc/passwd'), 'changed');
      rmSync(join(root, 'bin'), { recursive: true });
      mkdirSync(join(root, 'bin'));
    });
    await view(['2', '1'], (root) => assert.deepEqual(readdirSync(join(root, 'bin')), []));
    await view(['1'], (root) => lists.push(listDirectory(root)));
    assert.deepEqual(lists[1], lists[0]);
  });

  see('a child has the root directory of its parent', async ({ commit, view }) => {
    const root = tree({ '': dir({ mode: 0o751, uid: 7, gid: 8, xattrs: { 'user.note': 'x' } }) });
    await commit('1', [], (path) => materialise(root, path));
    await commit('2', ['1']);
    await view(['2', '1'], (path) => {
      const [top] = listDirectory(path);
      assert.deepEqual([top?.mode, top?.owner], ['040751', '7:8']);
      assert.equal(top?.xattrs['user.note'], '78');
    });
  });

  see('what a layer is filled with from outside is seen by its children', async (context) => {
    const { commit, view, unpack } = context;
    await unpack('1', tree({ unpacked: file('x'), gone: file('x') }));
    await commit('2', ['1'], (root) => rmSync(join(root, 'gone')));
    await view(['2', '1'], (root) => {
      assert.deepEqual(readdirSync(root), ['unpacked']);
      assert.equal(readFileSync(join(root, 'unpacked'), 'utf8'), 'x');
    });
  });

  see('usage counts what a snapshot holds itself', async ({ driver, commit }) => {
    const zero = { kind: 'committed', parents: [] } as const;
    await commit('1', [], (root) => writeFileSync(join(root, 'big'), randomBytes(300_000)));
    const { size, inodes } = await driver.usage({ ...zero, id: '1' });
    assert.ok(size >= 300_000 && size < 600_000 && inodes >= 2, `${size} ${inodes}`);
  });

  see(
    'removing a snapshot leaves its parent as it is',
    async ({ driver, commit, remove, view }) => {
      await commit('1', [], (root) => writeFileSync(join(root, 'x'), ''));
      await commit('2', ['1']);
      await remove({ id: '2', kind: 'committed', parents: ['1'] });
      await driver.purge?.();
      await view(['1'], (root) => assert.deepEqual(readdirSync(root), ['x']));
    },
  );
}

const NASTY = tree({
  etc: dir({ mode: 0o750, uid: 1, gid: 2 }),
  'etc/passwd': file('root:x:0:0', { mode: 0o640, mtime: -5, mtimeNs: 123_456_789 }),
  'etc/link': link('/nowhere', { uid: 3 }),
  bin: dir(),
  'bin/su': file('#!', { mode: 0o4755, xattrs: { 'user.note': 'x' } }),
  'bin/sudo': hardlink('bin/su'),
  'bin/fifo': fifo({ mode: 0o600 }),
  'var/tmp': dir({ mode: 0o1777 }),
  'var/empty': file(''),
});

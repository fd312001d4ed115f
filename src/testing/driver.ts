import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { environmentOf } from './drivers/environment.ts';
import { onStage, type Stage } from './drivers/stage.ts';
import type { DriverSuite, Environment } from './drivers/suite.ts';
import { listDirectory } from './listing.ts';
import { materialise } from './materialise.ts';
import { applyEdits, type Edit, randomEdits } from './random-edits.ts';
import { dir, fifo, file, hardlink, link, tree } from './tree.ts';

/** What every driver must do. The suite is the specification; the interface is its summary. */
export function testDriver(suite: DriverSuite): void {
  const skip = suite.skip ?? false;
  let environment: Environment;
  const run = (body: (stage: Stage) => Promise<void>): Promise<void> =>
    onStage(suite, environment, body);
  const check = (title: string, body: (stage: Stage) => Promise<void>): void => {
    // What cannot be mounted has nothing to show.
    if (suite.limits?.mountless === undefined) test(title, { skip }, () => run(body));
  };

  describe(`driver ${suite.name}`, () => {
    before(async () => {
      if (skip === false) environment = await environmentOf(suite, { small: false });
    });
    after(() => environment?.[Symbol.asyncDispose]());

    test('it says whether it can be mounted', { skip }, () =>
      run(async ({ driver }) =>
        assert.equal(driver.mounts === undefined, suite.limits?.mountless !== undefined),
      ),
    );

    test('create and remove repeat without harm, and nothing is left', { skip }, () =>
      run(async ({ driver, layers }) => {
        const layer = { id: '1', kind: 'committed', parents: [] } as const;
        await driver.remove(layer);
        await driver.create(layer);
        await driver.create(layer);
        await driver.remove(layer);
        await driver.remove(layer);
        await driver.purge?.();
        await driver.purge?.();
        assert.deepEqual(
          readdirSync(layers).filter((name) => name !== '.trash'),
          [],
        );
        assert.deepEqual(
          readdirSync(layers).flatMap((name) => readdirSync(join(layers, name))),
          [],
        );
      }),
    );

    test('inspect tells facts about a layer, usage its size', { skip }, () =>
      run(async ({ driver }) => {
        const layer = { id: '1', kind: 'committed', parents: [] } as const;
        await driver.create(layer);
        const facts = Object.entries(await driver.inspect(layer));
        assert.ok(facts.length > 0 && facts.every(([, value]) => value.length > 0));
        const { size, inodes } = await driver.usage(layer);
        assert.ok(size >= 0 && inodes >= 1);
      }),
    );

    check('a child sees its parent and hides what it deletes', async ({ commit, view }) => {
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

    check('a view refuses writes, of no parents, one, and several', async ({ commit, view }) => {
      await commit('1', []);
      await commit('2', ['1']);
      for (const parents of [[], ['1'], ['2', '1']])
        await view(parents, (root) =>
          assert.throws(() => writeFileSync(join(root, 'x'), ''), { code: 'EROFS' }),
        );
    });

    check('a child changes nothing of its parent', async ({ commit, view }) => {
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

    check('a child sees every attribute of what it leaves alone', async ({ commit, view }) => {
      const lists: unknown[] = [];
      await commit('1', [], (root) => materialise(NASTY, root));
      await view(['1'], (root) => lists.push(listDirectory(root).slice(1)));
      await commit('2', ['1']);
      await view(['2', '1'], (root) => lists.push(listDirectory(root).slice(1)));
      assert.deepEqual(lists[1], lists[0]);
      assert.ok((lists[0] as unknown[]).length > 8);
    });

    check('a child has the root directory of its parent', async ({ commit, view }) => {
      const root = tree({ '': dir({ mode: 0o751, uid: 7, gid: 8, xattrs: { 'user.note': 'x' } }) });
      await commit('1', [], (path) => materialise(root, path));
      await commit('2', ['1']);
      await view(['2', '1'], (path) => {
        const [top] = listDirectory(path);
        assert.deepEqual([top?.mode, top?.owner], ['040751', '7:8']);
        assert.equal(top?.xattrs['user.note'], '78');
      });
    });

    check('what a layer is filled with from outside is seen by its children', async (context) => {
      const { commit, view, unpack } = context;
      await unpack('1', tree({ unpacked: file('x'), gone: file('x') }));
      await commit('2', ['1'], (root) => rmSync(join(root, 'gone')));
      await view(['2', '1'], (root) => {
        assert.deepEqual(readdirSync(root), ['unpacked']);
        assert.equal(readFileSync(join(root, 'unpacked'), 'utf8'), 'x');
      });
    });

    check('a directory can be renamed, with what parents hold in it', async ({ commit, view }) => {
      await commit('1', [], (root) => {
        mkdirSync(join(root, 'old', 'deep'), { recursive: true });
        writeFileSync(join(root, 'old', 'deep', 'file'), 'x');
      });
      await commit('2', ['1'], (root) => {
        // Node's rename fails where a rename needs more than one step (EXDEV): do as mv does.
        try {
          renameSync(join(root, 'old'), join(root, 'new'));
        } catch (error) {
          assert.equal((error as NodeJS.ErrnoException).code, 'EXDEV');
          mkdirSync(join(root, 'new', 'deep'), { recursive: true });
          writeFileSync(join(root, 'new', 'deep', 'file'), 'x');
          rmSync(join(root, 'old'), { recursive: true });
        }
      });
      await view(['2', '1'], (root) => {
        assert.deepEqual(readdirSync(root), ['new']);
        assert.equal(readFileSync(join(root, 'new', 'deep', 'file'), 'utf8'), 'x');
      });
    });

    check('a stack of 130 snapshots shows what each of them brought', async ({ commit, view }) => {
      const ids: string[] = [];
      for (let n = 1; n <= 130; n++) {
        await commit(
          String(n),
          ids,
          n % 40 === 1 ? (root) => writeFileSync(join(root, String(n)), '') : undefined,
        );
        ids.unshift(String(n));
      }
      await view(ids, (root) =>
        assert.deepEqual(readdirSync(root).sort(), ['1', '121', '41', '81']),
      );
    });

    check('usage counts what a snapshot holds itself', async ({ driver, commit }) => {
      const zero = { kind: 'committed', parents: [] } as const;
      await commit('1', [], (root) => writeFileSync(join(root, 'big'), Buffer.alloc(300_000, 1)));
      const { size, inodes } = await driver.usage({ ...zero, id: '1' });
      assert.ok(size >= 300_000 && size < 400_000 && inodes >= 2, `${size} ${inodes}`);
    });

    check('removing a snapshot leaves its parent as it is', async ({ driver, commit, view }) => {
      await commit('1', [], (root) => writeFileSync(join(root, 'x'), ''));
      await commit('2', ['1']);
      await driver.remove({ id: '2', kind: 'committed', parents: ['1'] });
      await driver.purge?.();
      await view(['1'], (root) => assert.deepEqual(readdirSync(root), ['x']));
    });

    for (const seed of [1, 2, 3])
      check(
        `any edits give what they give in a plain directory (seed ${seed})`,
        async ({ commit, view }) => {
          await using plain = await mkdtempDisposable(join(tmpdir(), 'mica-plain-'));
          const edits: Edit[][] = randomEdits(seed, { snapshots: 3, edits: 25 });
          const ids: string[] = [];
          for (const [n, some] of edits.entries()) {
            await commit(String(n + 1), ids, (root) => applyEdits(root, some));
            ids.unshift(String(n + 1));
            applyEdits(plain.path, some);
          }
          await view(ids, (root) => assert.deepEqual(shape(root), shape(plain.path)));
        },
      );
  });
}

/** What edits determine: not times, and not what a file system makes of directories and links. */
const shape = (root: string): unknown[] =>
  listDirectory(root)
    .slice(1)
    .map(({ path, mode, owner, size, target, xattrs, content }) => ({
      path,
      mode,
      owner,
      size,
      target,
      xattrs,
      content,
    }));

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

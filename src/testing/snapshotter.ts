import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { type ErrorCode, isCode } from '../errors.ts';
import type { DiffId } from '../oci/digest.ts';
import type { Mount } from '../sys/mount-data.ts';
import { performMounts } from '../sys/mount.ts';
import type { Snapshotter } from '../snapshot/snapshotter.ts';
import { within } from './mounted.ts';

export interface SnapshotterSuite {
  readonly name: string;
  /** Reason to skip on this machine. */
  readonly skip?: string | false;
  /** Opens a snapshotter on a directory that does not exist yet. Called once per test. */
  readonly open: (root: string) => Promise<OpenedSnapshotter>;
}

export interface OpenedSnapshotter extends AsyncDisposable {
  readonly snapshots: Snapshotter;
  /** Whether it can commit onto a parent named at commit. */
  readonly rebases: boolean;
}

interface Context extends Omit<OpenedSnapshotter, keyof AsyncDisposable> {
  /** An empty directory to mount on. */
  readonly work: string;
  /** Commits a snapshot that adds a file of its own name. */
  readonly add: (name: string, parent: string) => Promise<void>;
  readonly see: (mounts: readonly Mount[]) => Promise<string[]>;
}

/** What every snapshotter must do: containerd's verbs and their meaning. */
export function testSnapshotter(suite: SnapshotterSuite): void {
  const check = (title: string, run: (context: Context) => Promise<void>): void => {
    test(title, { skip: suite.skip ?? false }, async () => {
      await using dir = await mkdtempDisposable(join(tmpdir(), `mica-${suite.name}-`));
      const work = join(dir.path, 'work');
      mkdirSync(work);
      await using opened = await suite.open(join(dir.path, 'store'));
      const { snapshots, rebases } = opened;
      await run({
        snapshots,
        rebases,
        work,
        async add(name, parent) {
          const mounts = await snapshots.prepare(`${name}-key`, parent);
          await within(mounts, work, (root) => writeFileSync(join(root, name), name));
          await snapshots.commit(name, `${name}-key`);
        },
        async see(mounts) {
          let names: string[] = [];
          await within(mounts, work, (root) => void (names = readdirSync(root)));
          return names.sort();
        },
      });
    });
  };
  const refused = (what: Promise<unknown>, code: ErrorCode): Promise<void> =>
    assert.rejects(what, (error) => isCode(error, code));
  const names = async (snapshots: Snapshotter): Promise<string[]> =>
    (await Array.fromAsync(snapshots.list())).map(({ name }) => name).sort();

  describe(`snapshotter ${suite.name}`, () => {
    check(
      'layers are committed one on the other, and a view shows them all',
      async ({ snapshots, add, see }) => {
        await add('a', '');
        await add('b', 'a');
        assert.deepEqual(await see(await snapshots.view('v', 'b')), ['a', 'b']);
        assert.deepEqual(await see(await snapshots.view('w', 'a')), ['a']);
        assert.deepEqual(await see(await snapshots.mounts('v')), ['a', 'b']);
        assert.deepEqual(await see(await snapshots.view('empty', '')), []);
      },
    );

    check('stat tells what list tells', async ({ snapshots, add }) => {
      const began = Date.now();
      await add('a', '');
      await snapshots.prepare('active', 'a', { labels: { x: '1' } });
      await snapshots.view('view', 'a');
      const listed = await Array.fromAsync(snapshots.list());
      const seen = listed.map(({ name, kind, parent }) => [name, kind, parent].join(' ')).sort();
      assert.deepEqual(seen, ['a committed ', 'active active a', 'view view a']);
      for (const info of listed) assert.deepEqual(await snapshots.stat(info.name), info);
      assert.deepEqual((await snapshots.stat('active')).labels, { x: '1' });
      assert.ok((await snapshots.stat('a')).createdAt.getTime() >= began - 1000);
    });

    check(
      'what was written stays until it is committed, then the key is gone',
      async ({ snapshots, work, see }) => {
        const mounts = await snapshots.prepare('k', '');
        await within(mounts, work, (root) => writeFileSync(join(root, 'x'), '1'));
        assert.deepEqual(await see(await snapshots.mounts('k')), ['x']);
        await snapshots.commit('n', 'k');
        await refused(snapshots.stat('k'), 'NOT_FOUND');
        await refused(snapshots.mounts('k'), 'NOT_FOUND');
        assert.equal((await snapshots.stat('n')).kind, 'committed');
        await refused(snapshots.mounts('n'), 'FAILED_PRECONDITION');
      },
    );

    check('keys and names are one namespace, each given once', async ({ snapshots, add }) => {
      await add('a', '');
      await snapshots.prepare('k', '');
      for (const taken of ['a', 'k']) {
        await refused(snapshots.prepare(taken, ''), 'ALREADY_EXISTS');
        await refused(snapshots.view(taken, 'a'), 'ALREADY_EXISTS');
      }
      await snapshots.prepare('l', '');
      for (const taken of ['a', 'k', 'l'])
        await refused(snapshots.commit(taken, 'l'), 'ALREADY_EXISTS');
      assert.deepEqual(await names(snapshots), ['a', 'k', 'l']);
    });

    check(
      'only committed snapshots are parents, only active ones are committed',
      async ({ snapshots, add }) => {
        await add('a', '');
        await snapshots.prepare('active', 'a');
        await snapshots.view('view', 'a');
        for (const parent of ['active', 'view']) {
          await refused(snapshots.prepare('k', parent), 'FAILED_PRECONDITION');
          await refused(snapshots.view('k', parent), 'FAILED_PRECONDITION');
        }
        for (const key of ['view', 'a'])
          await refused(snapshots.commit('n', key), 'FAILED_PRECONDITION');
        assert.deepEqual(await names(snapshots), ['a', 'active', 'view']);
      },
    );

    check('what does not exist is not found', async ({ snapshots }) => {
      await refused(snapshots.prepare('k', 'none'), 'NOT_FOUND');
      await refused(snapshots.commit('n', 'none'), 'NOT_FOUND');
      for (const verb of ['stat', 'mounts', 'remove', 'usage', 'inspect'] as const)
        await refused(snapshots[verb]('none'), 'NOT_FOUND');
      await refused(snapshots.update('none', {}), 'NOT_FOUND');
      assert.deepEqual(await names(snapshots), []);
    });

    check('a parent outlives no child', async ({ snapshots, add }) => {
      await add('a', '');
      await snapshots.prepare('b', 'a');
      await refused(snapshots.remove('a'), 'FAILED_PRECONDITION');
      await snapshots.remove('b');
      await snapshots.remove('a');
      assert.deepEqual(await names(snapshots), []);
    });

    check(
      'a key may be used again once it was removed or committed',
      async ({ snapshots, work, see }) => {
        for (const round of ['1', '2']) {
          const mounts = await snapshots.prepare('k', '');
          await within(mounts, work, (root) => writeFileSync(join(root, round), ''));
          assert.deepEqual(await see(await snapshots.mounts('k')), [round]);
          await snapshots.remove('k');
        }
        await snapshots.prepare('k', '');
        await snapshots.commit('n', 'k');
        await snapshots.prepare('k', 'n');
      },
    );

    check('what is mounted is neither committed nor removed', async ({ snapshots, add, work }) => {
      await add('a', '');
      for (const parent of ['', 'a']) {
        const key = `on-${parent}`;
        const mounts = await snapshots.prepare(key, parent);
        {
          await using _ = await performMounts(mounts, work);
          await refused(snapshots.commit('n', key), 'FAILED_PRECONDITION');
          await refused(snapshots.remove(key), 'FAILED_PRECONDITION');
          writeFileSync(join(work, 'still'), 'writable');
        }
        await snapshots.commit(`n-${parent}`, key);
      }
    });

    check(
      'labels are replaced as a whole, and a commit may bring its own',
      async ({ snapshots }) => {
        await snapshots.prepare('k', '', { labels: { a: '1', b: '2' } });
        const before = await snapshots.stat('k');
        const after = await snapshots.update('k', { c: '3' });
        assert.deepEqual(after.labels, { c: '3' });
        assert.ok(after.updatedAt >= before.updatedAt);
        assert.deepEqual(after.createdAt, before.createdAt);
        await snapshots.commit('kept', 'k');
        assert.deepEqual((await snapshots.stat('kept')).labels, { c: '3' });
        await snapshots.prepare('k', '', { labels: { a: '1' } });
        await snapshots.commit('own', 'k', { labels: { d: '4' } });
        assert.deepEqual((await snapshots.stat('own')).labels, { d: '4' });
      },
    );

    check('usage is that of the snapshot alone', async ({ snapshots, work }) => {
      const mounts = await snapshots.prepare('k', '');
      await within(mounts, work, (root) =>
        writeFileSync(join(root, 'big'), Buffer.alloc(200_000, 1)),
      );
      await snapshots.commit('n', 'k');
      assert.ok((await snapshots.usage('n')).size >= 200_000);
      await snapshots.view('v', 'n');
      assert.ok((await snapshots.usage('v')).size < 200_000);
    });

    check('inspect names the driver', async ({ snapshots, add }) => {
      await add('a', '');
      const { Name, Data } = await snapshots.inspect('a');
      assert.ok(Name.length > 0 && Object.keys(Data).length > 0);
    });

    check('an aborted call does nothing', async ({ snapshots }) => {
      const reason = new Error('enough');
      const signal = AbortSignal.abort(reason);
      await assert.rejects(snapshots.prepare('k', '', { signal }), reason);
      await assert.rejects(snapshots.stat('k', { signal }), reason);
      assert.deepEqual(await names(snapshots), []);
    });

    check('snapshots made at once do not disturb each other', async ({ snapshots, add, see }) => {
      await add('a', '');
      const keys = Array.from({ length: 6 }, (_, n) => `k${n}`);
      const taken = await Promise.allSettled(
        [...keys, ...keys].map((key) => snapshots.prepare(key, 'a')),
      );
      assert.equal(taken.filter(({ status }) => status === 'fulfilled').length, keys.length);
      await Promise.all(keys.map((key) => snapshots.commit(`n${key}`, key)));
      assert.deepEqual(await see(await snapshots.view('v', 'nk3')), ['a']);
    });

    check('a commit may name its parent', async ({ snapshots, rebases, add, work }) => {
      await add('a', '');
      const mounts = await snapshots.prepare('k', '');
      await within(mounts, work, (root) => writeFileSync(join(root, 'b'), ''));
      if (!rebases) {
        await refused(snapshots.commit('b', 'k', { parent: 'a' }), 'NOT_IMPLEMENTED');
        await snapshots.commit('b', 'k', { parent: '' });
        return;
      }
      await refused(snapshots.commit('b', 'k', { parent: 'none' }), 'NOT_FOUND');
      await snapshots.commit('b', 'k', { parent: 'a' });
      assert.equal((await snapshots.stat('b')).parent, 'a');
      await within(await snapshots.view('v', 'b'), work, (root) =>
        assert.deepEqual(readdirSync(root).sort(), ['a', 'b']),
      );
    });

    check(
      'two commits of one diffID are two snapshots with the same content',
      async ({ snapshots, work }) => {
        const diffId = `sha256:${'d'.repeat(64)}` as DiffId;
        for (const name of ['one', 'two']) {
          const mounts = await snapshots.prepare(name, '');
          await within(mounts, work, (root) => writeFileSync(join(root, 'x'), 'same'));
          await snapshots.commit(`n-${name}`, name, { diffId });
        }
        await snapshots.remove('n-one');
        await within(await snapshots.view('v', 'n-two'), work, (root) => {
          assert.equal(existsSync(join(root, 'x')), true);
          assert.equal(readFileSync(join(root, 'x'), 'utf8'), 'same');
        });
      },
    );
  });
}

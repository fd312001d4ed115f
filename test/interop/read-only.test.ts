import assert from 'node:assert/strict';
import { mkdirSync, statSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { openEngine } from '../../src/engine/open.ts';
import { performMounts } from '../../src/sys/mount.ts';
import { needs } from '../../src/testing/need.ts';
import { file, tree } from '../../src/testing/tree.ts';
import { openOrigin } from '../support/origin.ts';

test(
  'what only reads works on a store on a read-only file system, also while another mount of it is written to',
  { skip: needs('root') },
  async () => {
    await using dir = await mkdtempDisposable(join(tmpdir(), 'mica-read-only-'));
    const [root, copy] = [join(dir.path, 'store'), join(dir.path, 'copy')];
    mkdirSync(copy);
    await using origin = await openOrigin();
    await origin.image('app', [tree({ a: file('1') })]);
    const reference = `${new URL(origin.url).host}/app:latest`;
    await using writer = await openEngine({ root, driver: 'vfs' });
    await writer.pull(reference);
    const { id } = await writer.containers.create(reference, { name: 'one', options: {} });
    await using _ = await performMounts(
      [{ type: 'bind', source: root, options: ['rbind', 'ro'] }],
      copy,
    );
    const reads = async (): Promise<void> => {
      await using engine = await openEngine({ root: copy });
      const { driver, images, layers } = await engine.info();
      assert.deepEqual([driver, images, layers], ['vfs', 1, 1]);
      assert.equal((await engine.images()).length, 1);
      await using content = await engine.tree(reference);
      assert.equal(content.readdir('').length, 1);
      assert.equal((await engine.usage()).images.length, 1);
      assert.deepEqual((await engine.check()).problems, []);
      assert.equal((await engine.containers.graphDriver('one')).Name, 'vfs');
      assert.ok((await engine.containers.usage(id)).inodes > 0);
      assert.deepEqual(await engine.containers.changes('one'), []);
      const archive = join(dir.path, 'saved.tar');
      await engine.save([reference], archive);
      assert.ok(statSync(archive).size > 0);
      await engine.copy(reference, `oci:${join(dir.path, 'layout')}`);
      for (const write of [
        () => engine.tag(reference, 'other'),
        () => engine.remove(reference),
        () => engine.gc(),
        () => engine.check({ repair: true }),
      ])
        await assert.rejects(write(), { code: 'FAILED_PRECONDITION', message: /EROFS/ });
    };
    await reads();
    await writer[Symbol.asyncDispose]();
    await reads();
  },
);

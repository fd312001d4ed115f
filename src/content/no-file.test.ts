import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { openDatabase } from '../db/open.ts';
import { performMounts } from '../sys/mount.ts';
import { needs } from '../testing/need.ts';
import { project } from './projection.ts';

test(
  'where no file can be made a store that is open goes on without its projection, and another cannot be opened for lack of room',
  { skip: needs('root') },
  async () => {
    await using dir = await mkdtempDisposable(join(tmpdir(), 'mica-no-file-'));
    const disk = join(dir.path, 'disk');
    mkdirSync(disk);
    await using _ = await performMounts(
      [{ type: 'tmpfs', source: 'tmpfs', options: ['nr_inodes=100'] }],
      disk,
    );
    const root = join(disk, 'store');
    const content = join(root, 'content');
    const others: string[] = [];
    const fill = (): void => {
      for (;;) {
        const path = join(disk, `other-${others.length}`);
        writeFileSync(path, '');
        others.push(path);
      }
    };
    {
      using db = await openDatabase(root);
      mkdirSync(content);
      assert.throws(fill, { code: 'ENOSPC' });
      await project(db, content);
    }
    assert.throws(fill, { code: 'ENOSPC' });
    await assert.rejects(openDatabase(root), {
      code: 'RESOURCE_EXHAUSTED',
      message: /no file can be made.*btrfs/,
    });
    for (const path of others) rmSync(path);
    using db = await openDatabase(root);
    await project(db, content);
  },
);

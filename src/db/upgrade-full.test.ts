import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { unmount } from '../sys/mount/unmount.ts';
import { needs } from '../testing/need.ts';
import { openDatabase } from './open.ts';

const KiB = 1024;

/** A store as a version made it that knew less. */
async function makeOldStore(root: string): Promise<void> {
  (await openDatabase(root))[Symbol.dispose]();
  using raw = new DatabaseSync(join(root, 'mica.db'));
  raw.exec(`drop table recipe; drop table dropped; drop table build_step; drop table proven_layer;
    delete from feature where kind = 'compatible'`);
}

test(
  'a store of an older version is opened on a full disk, however little room is left',
  { skip: needs('root') },
  async () => {
    await using dir = await mkdtempDisposable(join(tmpdir(), 'mica-full-'));
    const mounted = join(dir.path, 'mounted');
    mkdirSync(mounted);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', mounted]);
    try {
      for (let free = 0; free <= 128 * KiB; free += 8 * KiB) {
        const root = join(mounted, `store-${free}`);
        await makeOldStore(root);
        const { bavail, bsize } = statfsSync(mounted);
        const ballast = join(mounted, 'ballast');
        writeFileSync(ballast, Buffer.alloc(bavail * bsize - free));
        {
          using db = await openDatabase(root);
          assert.deepEqual(db.all('select * from proven_layer'), [], `${free} bytes`);
        }
        for (const path of [root, ballast]) rmSync(path, { recursive: true });
      }
    } finally {
      unmount(mounted, { detach: true });
    }
  },
);

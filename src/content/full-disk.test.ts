import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { openDatabase } from '../db/open.ts';
import { syncStore } from '../db/sync.ts';
import { isCode } from '../errors.ts';
import { unmount } from '../sys/mount/unmount.ts';
import { blob, read, reopenable } from '../testing/content.ts';
import { needs } from '../testing/need.ts';
import { openContentStore } from './file-store.ts';

const MiB = 1024 * 1024;

test(
  'a full disk is told, what fitted stays, and the download ends when there is room',
  { skip: needs('loop') },
  async () => {
    await using dir = await mkdtempDisposable(join(tmpdir(), 'mica-full-'));
    const [image, mounted] = [join(dir.path, 'image'), join(dir.path, 'mounted')];
    writeFileSync(image, '');
    truncateSync(image, 8 * MiB);
    execFileSync('mkfs.ext4', ['-q', '-m', '0', '-O', '^has_journal', image]);
    mkdirSync(mounted);
    execFileSync('mount', ['-o', 'loop', image, mounted]);
    try {
      const root = join(mounted, 'store');
      using db = await openDatabase(root);
      await using store = await openContentStore(db);
      const ballast = join(mounted, 'ballast');
      writeFileSync(ballast, Buffer.alloc(3 * MiB));
      const [target, bytes] = blob('f'.repeat(5 * MiB));
      await assert.rejects(
        store.push(target, reopenable(bytes)),
        (error) => isCode(error, 'RESOURCE_EXHAUSTED') && /mica prune/.test(error.message),
      );
      assert.equal(await store.has(target), false);
      const [partial] = await Array.fromAsync(store.partials());
      assert.ok(partial && partial.size > MiB && !partial.active, `${partial?.size}`);

      rmSync(ballast);
      const asked: number[] = [];
      await store.push(target, (offset) => {
        asked.push(offset);
        return reopenable(bytes)(offset);
      });
      assert.deepEqual(asked, [partial.size]);
      await syncStore(db);
      db.transaction(() => store.ready([target.digest]), { durable: true });
      assert.deepEqual(await read(store.fetch(target)), bytes);
      assert.equal(
        statSync(store.path(target.digest)).size,
        readFileSync(store.path(target.digest)).length,
      );
    } finally {
      unmount(mounted, { detach: true });
    }
  },
);

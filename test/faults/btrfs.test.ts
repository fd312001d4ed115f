import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openDatabase } from '../../src/db/open.ts';
import { loopFileSystem } from '../../src/testing/drivers/environment.ts';
import { needs } from '../../src/testing/need.ts';

/** Full disks on which every write needs new space, also one over what is there. */
const skip = needs('btrfs');

const source = (path: string): string =>
  JSON.stringify(new URL(`../../src/${path}`, import.meta.url).href);

/** Takes all that is left below `root`, and waits until it is on the disk. */
function fill(root: string): void {
  const fd = openSync(join(root, '..', 'ballast'), 'a');
  try {
    // What was freed is there after the sync only.
    for (const size of [1 << 20, 1 << 16, 1 << 12, 1 << 12])
      try {
        execFileSync('sync', ['--file-system', root]);
        for (;;) writeSync(fd, Buffer.alloc(size, 1));
      } catch (error) {
        assert.equal((error as NodeJS.ErrnoException).code, 'ENOSPC');
      }
  } finally {
    closeSync(fd);
  }
  execFileSync('sync', ['--file-system', root]);
}

test(
  'a process that has the store open lives on when btrfs is full, and the next ones open it',
  { skip },
  async () => {
    await using disk = await loopFileSystem('btrfs', { small: 128 })({ small: true });
    const root = join(disk.path, 'store');
    (await openDatabase(root))[Symbol.dispose]();
    const script = `
      const { openDatabase } = await import(${source('db/open.ts')});
      const { setMeta } = await import(${source('db/meta.ts')});
      const root = ${JSON.stringify(root)};
      const db = await openDatabase(root);
      db.transaction(() => setMeta(db, 'driver', 'before'));
      const fill = ${fill.toString()};
      const [{ closeSync, openSync, writeSync }, { join }, { execFileSync }, { default: assert }] =
        await Promise.all(['fs', 'path', 'child_process', 'assert'].map((name) => import('node:' + name)));
      fill(root);
      for (let n = 0; n < 3; n++)
        try {
          db.transaction(() => setMeta(db, 'driver', String(n)));
        } catch (error) {
          if (error.code !== 'RESOURCE_EXHAUSTED') throw error;
        }
      console.log('alive');
      process.kill(process.pid, 'SIGKILL');`;
    assert.throws(
      () =>
        execFileSync(process.execPath, ['--input-type=module', '-e', script], { stdio: 'pipe' }),
      (error: Error & { signal: string; stdout: Buffer; stderr: Buffer }) => {
        assert.equal(error.signal, 'SIGKILL', String(error.stderr));
        assert.equal(String(error.stdout), 'alive\n');
        return true;
      },
    );
    for (let n = 0; n < 4; n++) {
      (await openDatabase(root))[Symbol.dispose]();
      fill(root);
    }
  },
);

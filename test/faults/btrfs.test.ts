import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, openSync, truncateSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openDatabase } from '../../src/db/open.ts';
import type { Engine } from '../../src/engine/engine.ts';
import { openEngine } from '../../src/engine/open.ts';
import { loopFileSystem } from '../../src/testing/drivers/environment.ts';
import { needs } from '../../src/testing/need.ts';
import { file, type Tree, tree } from '../../src/testing/tree.ts';
import { openOrigin } from '../support/origin.ts';

const MIB = 1024 * 1024;

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

test(
  'pulls that fill btrfs again and again do not lock the store: what is there can be removed, and what fits pulled',
  { skip },
  async () => {
    await using origin = await openOrigin();
    const noise = (bytes: number): Tree => tree({ noise: file(randomBytes(bytes)) });
    for (const [name, bytes] of Object.entries({ kept: 8 * MIB, large: 60 * MIB, fits: 8 * MIB }))
      await origin.image(name, [noise(bytes)], { compression: 'none' });
    const host = new URL(origin.url).host;
    await using disk = await loopFileSystem('btrfs', { small: 128 })({ small: true });
    const options = { root: join(disk.path, 'store'), driver: 'btrfs' };
    const within = async <T>(use: (engine: Engine) => Promise<T>): Promise<T> => {
      await using engine = await openEngine(options);
      return await use(engine);
    };
    await within((engine) => engine.pull(`${host}/kept`));
    for (let n = 0; n < 10; n++)
      await within((engine) =>
        assert.rejects(engine.pull(`${host}/large`), { code: 'RESOURCE_EXHAUSTED' }),
      );
    // Not even what the store keeps back is left.
    truncateSync(join(options.root, 'reserve'), 0);
    fill(options.root);
    assert.equal((await within((engine) => engine.images())).length, 1);
    await within((engine) => engine.remove(`${host}/kept`));
    await within((engine) => engine.prune({ partialsOlderThan: 0 }));
    await within((engine) => engine.pull(`${host}/fits`));
    assert.deepEqual((await within((engine) => engine.check())).problems, []);
  },
);

import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openDatabase } from '../db/open.ts';
import { sha256 } from '../oci/digest.ts';
import { blob, read, reopenable } from '../testing/content.ts';
import { killAtEveryStep } from '../testing/crash.ts';
import { needs } from '../testing/need.ts';
import { openContentStore } from './file-store.ts';

const skip = needs('linux');

const open = `
  const url = (path) => new URL(path, ${JSON.stringify(import.meta.url)}).href;
  const { openDatabase } = await import(url('../db/open.ts'));
  const { syncStore } = await import(url('../db/sync.ts'));
  const { openContentStore } = await import(url('./file-store.ts'));
  const { sha256 } = await import(url('../oci/digest.ts'));
  const bytes = Buffer.from('k'.repeat(1000));
  const target = { mediaType: 'x', digest: sha256(bytes), size: 1000 };
`;

const [target, bytes] = blob('k'.repeat(1000));

/** Opens the store as the next process does, and looks at everything in it. */
async function check(root: string): Promise<void> {
  using db = await openDatabase(root);
  await using store = await openContentStore(db);
  for await (const { digest, size } of store.list()) {
    const content = readFileSync(store.path(digest));
    assert.deepEqual([content.length, sha256(content)], [size, digest]);
  }
  await store.push(target, reopenable(bytes));
  assert.deepEqual(await read(store.fetch(target)), bytes);
  assert.deepEqual(readdirSync(join(root, 'content', 'ingest')), []);
  assert.deepEqual(await Array.fromAsync(store.orphans()), []);
  assert.ok(existsSync(join(root, 'content', 'index.json')));
}

test('a push may be killed at any step', { skip }, async () => {
  const steps = await killAtEveryStep({
    program: (root) => `${open}
      const db = await openDatabase(${JSON.stringify(root)});
      const store = await openContentStore(db);
      beginCounting();
      await store.push(target, async function* (offset) {
        for (let at = offset; at < 1000; at += 500) yield bytes.subarray(at, at + 500);
      });
      await syncStore(db);
      db.transaction(() => store.ready([target.digest]), { durable: true });`,
    check,
  });
  assert.ok(steps > 8, `${steps} steps`);
});

test(
  'a removal, and the removal of a partial download, may be killed at any step',
  { skip },
  async () => {
    const steps = await killAtEveryStep({
      program: (root) => `${open}
      const db = await openDatabase(${JSON.stringify(root)});
      const store = await openContentStore(db);
      await store.push(target, async function* () { yield bytes; });
      const ingest = await store.openIngest({ ...target, digest: sha256('other'), size: 5 });
      ingest.write(Buffer.from('oth'));
      await ingest[Symbol.asyncDispose]();
      beginCounting();
      await store.discard(sha256('other'));
      db.transaction(() => store.condemn([target.digest]), { durable: true });
      await store.delete(target.digest);`,
      async check(root) {
        {
          using db = await openDatabase(root);
          await using store = await openContentStore(db);
          await store.discard(sha256('other'));
        }
        await check(root);
      },
    });
    assert.ok(steps > 8, `${steps} steps`);
  },
);

test('storing bytes of unknown digest may be killed at any step', { skip }, async () => {
  await killAtEveryStep({
    program: (root) => `${open}
      const db = await openDatabase(${JSON.stringify(root)});
      const store = await openContentStore(db);
      beginCounting();
      await store.ingest((async function* () { yield bytes; })(), 'x');`,
    check,
  });
});

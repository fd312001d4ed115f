import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { openDatabase } from '../db/open.ts';
import { sha256 } from '../oci/digest.ts';
import { blob, read, reopenable } from '../testing/content.ts';
import { needs } from '../testing/need.ts';
import { openContentStore } from './file-store.ts';

const skip = needs('linux');

/** The same content in every process. */
const BLOBS = [0, 1, 2, 3].map((n) => String.fromCharCode(97 + n).repeat(200_000 + n));

/**
 * Pushes blobs as a download would, a little at a time, and prints a dot for each piece that it was
 * asked for, and how many bytes its source gave.
 */
const program = (root: string, order: readonly number[], pause: number): string => `
  const url = (path) => new URL(path, ${JSON.stringify(import.meta.url)}).href;
  const { openDatabase } = await import(url('../db/open.ts'));
  const { syncStore } = await import(url('../db/sync.ts'));
  const { openContentStore } = await import(url('./file-store.ts'));
  const { sha256 } = await import(url('../oci/digest.ts'));
  const { setTimeout } = await import('node:timers/promises');
  const texts = [0, 1, 2, 3].map((n) => String.fromCharCode(97 + n).repeat(200_000 + n));
  using db = await openDatabase(${JSON.stringify(root)});
  await using store = await openContentStore(db);
  let given = 0;
  process.stdout.write('open\\n');
  await Promise.all(${JSON.stringify(order)}.map(async (n) => {
    const bytes = Buffer.from(texts[n]);
    const target = { mediaType: 'x', digest: sha256(bytes), size: bytes.length };
    await store.push(target, async function* (offset) {
      for (let at = offset; at < bytes.length; at += 20_000) {
        process.stdout.write('.');
        const chunk = bytes.subarray(at, at + 20_000);
        given += chunk.length;
        yield chunk;
        await setTimeout(${pause});
      }
    });
    await syncStore(db);
    db.transaction(() => store.ready([target.digest]), { durable: true });
  }));
  process.stdout.write(String(given));`;

const start = (source: string): ChildProcess & { stdout: NodeJS.ReadableStream } =>
  spawn(process.execPath, ['--input-type=module', '-e', source], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });

test('several processes that want overlapping blobs fetch each once', { skip }, async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'mica-processes-'));
  const orders = [
    [0, 1],
    [0, 1, 2, 3],
    [3, 2, 1, 0],
    [2, 0],
  ];
  const outputs = await Promise.all(
    orders.map(async (order) => {
      const child = start(program(dir.path, order, 3));
      const [said] = await Promise.all([text(child.stdout), once(child, 'exit')]);
      return Number(said.split('\n')[1]!.replaceAll('.', ''));
    }),
  );
  const total = BLOBS.reduce((sum, { length }) => sum + length, 0);
  assert.equal(
    outputs.reduce((sum, given) => sum + given, 0),
    total,
  );
  using db = await openDatabase(dir.path);
  await using store = await openContentStore(db);
  for (const content of BLOBS) {
    const [target, bytes] = blob(content);
    assert.deepEqual(await read(store.fetch(target)), bytes);
  }
  assert.deepEqual(readdirSync(join(dir.path, 'content', 'ingest')), []);
});

test(
  'whenever a process is killed, the store opens clean and the rest is fetched from where it was',
  { skip },
  async () => {
    await using dir = await mkdtempDisposable(join(tmpdir(), 'mica-processes-'));
    let fetched = 0;
    for (const pieces of [0, 4, 8, 16, 30]) {
      const root = join(dir.path, String(pieces));
      const child = start(program(root, [0, 1, 2, 3], 1));
      const reached = Promise.withResolvers<void>();
      let said = '';
      child.stdout.on('data', (chunk) => {
        said += String(chunk);
        if (said.split('.').length > pieces) reached.resolve();
      });
      child.once('exit', () => reached.resolve());
      await reached.promise;
      child.kill('SIGKILL');
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');

      using db = await openDatabase(root);
      await using store = await openContentStore(db);
      for await (const { digest, size } of store.list()) {
        const bytes = readFileSync(store.path(digest));
        assert.deepEqual([bytes.length, sha256(bytes)], [size, digest]);
      }
      const partials = await Array.fromAsync(store.partials());
      assert.ok(partials.every(({ active }) => !active));
      const here =
        partials.reduce((sum, { size }) => sum + size, 0) +
        (await Array.fromAsync(store.list())).reduce((sum, { size }) => sum + size, 0) +
        (await Array.fromAsync(store.orphans())).reduce((sum, { size }) => sum + size, 0);
      let given = 0;
      for (const content of BLOBS) {
        const [target, bytes] = blob(content);
        await store.push(target, async function* (offset) {
          given += bytes.length - offset;
          yield* reopenable(bytes)(offset);
        });
        assert.deepEqual(await read(store.fetch(target)), bytes);
      }
      fetched += here;
      assert.equal(
        given + here,
        BLOBS.reduce((sum, { length }) => sum + length, 0),
      );
      assert.deepEqual(readdirSync(join(root, 'content', 'ingest')), []);
      assert.deepEqual(await Array.fromAsync(store.orphans()), []);
    }
    assert.ok(fetched > 0, 'no round was killed in the middle of a download');
  },
);

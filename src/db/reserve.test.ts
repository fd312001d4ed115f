import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import { holdLock } from '../sys/alive.ts';
import { Reserve } from './reserve.ts';

const MiB = 1024 * 1024;

/** As SQLite throws it. */
const full = (): Error =>
  Object.assign(new Error('full'), { code: 'ERR_SQLITE_ERROR', errcode: 13, errstr: 'full' });

interface Place extends AsyncDisposable {
  readonly root: string;
  readonly reserve: Reserve;
  readonly size: () => number;
  /** A partial download of so many bytes. @returns how many are left */
  partial(name: string, bytes: number): () => number;
}

async function place(): Promise<Place> {
  const dir = await mkdtempDisposable(join(tmpdir(), 'mica-reserve-'));
  const root = dir.path;
  return {
    root,
    reserve: new Reserve(root),
    size: () => statSync(join(root, 'reserve')).size,
    partial(name, bytes) {
      const directory = join(root, 'content', 'ingest', name);
      mkdirSync(directory, { recursive: true });
      const data = join(directory, 'data');
      writeFileSync(data, '');
      truncateSync(data, bytes);
      return () => statSync(data).size;
    },
    [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose](),
  };
}

/** Finds no room so many times. */
const failing = (times: number) => {
  let calls = 0;
  return (): number => {
    if (calls++ < times) throw full();
    return calls;
  };
};

test('what is kept back is not less on a file system that compresses', async () => {
  await using at = await place();
  at.reserve.fill();
  assert.ok(zstdCompressSync(readFileSync(join(at.root, 'reserve'))).length >= at.size());
});

test('what is kept back is given up once, then ends of the largest partial downloads, then it fails', async () => {
  await using at = await place();
  const [large, small] = [at.partial('large', 10 * MiB), at.partial('small', MiB)];
  at.reserve.fill();
  assert.equal(at.reserve.lend(failing(1)), 2);
  assert.deepEqual([at.size(), large(), small()], [0, 10 * MiB, MiB]);
  assert.equal(at.reserve.lend(failing(1)), 2);
  assert.deepEqual([large(), small()], [8 * MiB, MiB]);
  at.reserve.fill();
  assert.equal(at.reserve.lend(failing(2)), 3);
  assert.deepEqual([at.size(), large(), small()], [0, 6 * MiB, MiB]);
  at.reserve.fill();
  assert.throws(() => at.reserve.lend(failing(3)), /full/);
});

test('a download that goes on keeps what it has, and the next one gives', async () => {
  await using at = await place();
  const [large, ...others] = [4 * MiB, MiB, MiB / 2].map((size) => at.partial(String(size), size));
  using _ = holdLock(join(at.root, 'content', 'ingest', String(4 * MiB), 'lock'));
  assert.equal(at.reserve.lend(failing(1)), 2);
  assert.deepEqual([large!(), ...others.map((size) => size())], [4 * MiB, 0, 0]);
  assert.throws(() => at.reserve.lend(failing(1)), /full/);
});

test('what fails for another reason takes nothing', async () => {
  await using at = await place();
  at.reserve.fill();
  const before = at.size();
  assert.throws(
    () =>
      at.reserve.lend(() => {
        throw new Error('other');
      }),
    /other/,
  );
  assert.equal(at.size(), before);
});

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { Leases } from '../db/leases.ts';
import { openDatabase } from '../db/open.ts';
import { needs } from '../testing/need.ts';
import { listCommitted, listLayers } from './chain.ts';
import { tar } from './drivers/tar.ts';
import { openLayerStore } from './layers.ts';

/** Builds layers a and b in the given order, as a pull does, and prints which of them it built itself. */
const program = (root: string, keys: readonly string[], die: boolean): string => `
  const url = (path) => new URL(path, ${JSON.stringify(import.meta.url)}).href;
  const { openDatabase } = await import(url('../db/open.ts'));
  const { Leases } = await import(url('../db/leases.ts'));
  const { syncStore } = await import(url('../db/sync.ts'));
  const { openLayerStore } = await import(url('./layers.ts'));
  const { openSnapshotter } = await import(url('./local.ts'));
  const { tar } = await import(url('./drivers/tar.ts'));
  const { writeFileSync, readFileSync } = await import('node:fs');
  const { setTimeout } = await import('node:timers/promises');
  using db = await openDatabase(${JSON.stringify(root)});
  const leases = new Leases(db);
  const driver = tar(${JSON.stringify(join(root, 'layers'))});
  const layers = await openLayerStore(db, leases, driver);
  await using snapshots = await openSnapshotter(db, leases, driver);
  using lease = leases.open('pull');
  const ids = [];
  for (const key of ${JSON.stringify(keys)}) {
    const diffId = 'sha256:' + key.repeat(64);
    const layer = await layers.open(diffId, { diffId, lease });
    if (layer.state === 'building') {
      writeFileSync(layer.directory + '/layer.tar', key, { flag: 'wx' });
      process.stdout.write(key);
      ${die ? `process.kill(process.pid, 'SIGKILL');` : ''}
      await setTimeout(30);
      await layers.built(layer.id, { diffId, dependent: false, tarSize: 1, indexSize: 1, indexDigest: diffId, stats: {} });
    }
    if (readFileSync(layer.directory + '/layer.tar', 'utf8') !== key) throw new Error('not whole');
    ids.push(layer.id);
  }
  await syncStore(db);
  db.transaction(() => {
    layers.ready(ids);
    ids.forEach((layer, n) => snapshots.record(${JSON.stringify(keys.join(''))} + n, { parent: '', layer }));
  }, { durable: true });`;

async function run(root: string, keys: readonly string[], die = false): Promise<string> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', program(root, keys, die)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [said, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')]);
  assert.equal(code, die ? null : 0);
  return said;
}

test(
  'processes that need the same layers in another order build each once, and none waits forever',
  { skip: needs('linux') },
  async () => {
    await using dir = await mkdtempDisposable(join(tmpdir(), 'mica-processes-'));
    const root = join(dir.path, 'store');
    assert.equal(await run(root, ['c'], true), 'c');
    const built = await Promise.all([
      run(root, ['a', 'b', 'c']),
      run(root, ['c', 'b', 'a']),
      run(root, ['b', 'a', 'c']),
    ]);
    assert.deepEqual(built.join('').split('').sort(), ['a', 'b', 'c']);
    using db = await openDatabase(root);
    const leases = new Leases(db);
    await openLayerStore(db, leases, tar(join(root, 'layers')));
    leases.sweep();
    const left = listLayers(db).map(({ key, state }) => `${key?.at(-1)} ${state}`);
    assert.deepEqual(left.sort(), ['a ready', 'b ready', 'c ready']);
    assert.equal(listCommitted(db).length, 9);
    assert.deepEqual(readdirSync(join(root, 'leases')), []);
  },
);

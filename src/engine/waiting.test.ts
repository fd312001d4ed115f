import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Database } from '../db/database.ts';
import { check } from './check/check.ts';
import { resolveConfig } from './config.ts';
import { Context } from './context.ts';
import { info } from './info.ts';
import { usage } from './space/usage.ts';

/** What `devicemapper/pool.json` says of a thin pool that somebody else activates, and has not. */
const state = (layers: readonly number[]): string =>
  JSON.stringify({
    format: 1,
    tag: 'f00dcafe',
    backing: { kind: 'pool', path: '/dev/no-such-pool' },
    fileSystem: 'ext4',
    baseSize: 2 ** 30,
    transaction: 1,
    nextDevice: 9,
    layers: Object.fromEntries(
      layers.map((id) => [id, { device: id, sectors: 2048, start: { size: 0, inodes: 0 } }]),
    ),
    removed: [],
  });

/** As a migration leaves layers of the driver that the store had. */
function addRemoved(db: Database, driver: string): number {
  db.run(
    `insert into layer (driver, form, state, created, boot) values (?, 'direct', 'removing', 0, '')`,
    driver,
  );
  return db.get<{ id: number }>('select max(id) as id from layer')!.id;
}

test('layers whose pool is away keep nobody from opening the store, and go when it is back', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'mica-waiting-'));
  const root = join(dir.path, 'store');
  await using context = new Context(await resolveConfig({ root, driver: 'tar' }, {}));
  const { db } = await context.store();
  const away = [addRemoved(db, 'devicemapper'), addRemoved(db, 'devicemapper')];
  const near = addRemoved(db, 'vfs');
  mkdirSync(join(root, 'devicemapper'));
  const pool = join(root, 'devicemapper', 'pool.json');
  writeFileSync(pool, state(away));
  for (const id of [...away, near]) {
    mkdirSync(join(root, 'layers', String(id), 'fs'), { recursive: true });
    writeFileSync(join(root, 'layers', String(id), 'index.erofs'), 'x'.repeat(4096));
  }

  const ids = async (): Promise<number[]> =>
    (await context.store()).db.all<{ id: number }>('select id from layer').map(({ id }) => id);
  await context.renew();
  assert.deepEqual(await ids(), away);
  const { waiting } = await info(context);
  assert.deepEqual(
    waiting.map(({ driver, layers }) => ({ driver, layers })),
    [{ driver: 'devicemapper', layers: 2 }],
  );
  assert.match(waiting[0]!.reason, /no-such-pool/);
  const used = await usage(context);
  assert.deepEqual(
    used.removals?.map(({ driver, layers }) => ({ driver, layers })),
    [{ driver: 'devicemapper', layers: 2 }],
  );
  assert.equal(used.reclaimable, 0);
  const { problems } = await check(context);
  assert.deepEqual(
    problems.map(({ kind, subject }) => ({ kind, subject })),
    [{ kind: 'removal', subject: 'devicemapper' }],
  );
  assert.match(problems[0]!.message, /2 removed layers wait .*no-such-pool/);

  // It is back, as far as the driver has to know: nothing of theirs is in it.
  writeFileSync(pool, state([99]));
  await context.renew();
  assert.deepEqual(await ids(), []);
  assert.deepEqual((await info(context)).waiting, []);
  assert.equal((await usage(context)).removals, undefined);
  assert.deepEqual((await check(context)).problems, []);
});

test('a removed layer of a driver that only another version has waits for that version', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'mica-waiting-'));
  const root = join(dir.path, 'store');
  await using context = new Context(await resolveConfig({ root, driver: 'tar' }, {}));
  addRemoved((await context.store()).db, 'later');
  await context.renew();
  const { waiting } = await info(context);
  assert.equal(waiting.length, 1);
  assert.match(waiting[0]!.reason, /does not have storage driver later/);
});

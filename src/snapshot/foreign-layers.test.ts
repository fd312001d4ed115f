import assert from 'node:assert/strict';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Database } from '../db/database.ts';
import { setMeta } from '../db/meta.ts';
import { openDatabase } from '../db/open.ts';
import { refuseForeignLayers } from './foreign-layers.ts';

interface Row {
  readonly driver: string;
  readonly state?: string;
  /** Whether a snapshot stands on it. */
  readonly used?: boolean;
}

function add(db: Database, { driver, state = 'ready', used = false }: Row): void {
  db.run(
    `insert into layer (driver, form, state, created, boot) values (?, 'direct', ?, 0, '')`,
    driver,
    state,
  );
  const { id } = db.get<{ id: number }>('select max(id) as id from layer')!;
  if (used)
    db.run(
      `insert into snapshot (name, kind, state, layer, labels, created, updated)
         values (?, 'committed', 'ready', ?, '{}', 0, 0)`,
      `on-${id}`,
      id,
    );
}

/** A store of driver overlay2 with these layers; `migratingTo`: while it changes to that. */
async function judged(rows: readonly Row[], migratingTo?: string): Promise<void> {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'mica-foreign-'));
  using db = await openDatabase(join(dir.path, 'store'));
  setMeta(db, 'driver', 'overlay2');
  if (migratingTo !== undefined) setMeta(db, 'migrating-to', `${migratingTo} direct`);
  for (const row of [{ driver: 'overlay2', used: true }, ...rows]) add(db, row);
  refuseForeignLayers(db);
}

test('layers of the store’s driver, of a migration, and going are as they should be', async () => {
  await judged([]);
  await judged([{ driver: 'later', state: 'removing' }]);
  await judged([{ driver: 'vfs' }], 'vfs');
  await judged([{ driver: 'later' }], 'later');
});

for (const [what, rows, advice] of [
  [
    'a known driver that nothing stands on',
    [{ driver: 'vfs' }],
    /`mica migrate --driver overlay2`/,
  ],
  ['a known driver that snapshots stand on', [{ driver: 'vfs', used: true }], /snapshots.*--root/],
  ['a driver that only another version has', [{ driver: 'later' }], /does not have later: use one/],
  ['containers of another driver', [{ driver: 'vfs', state: 'active' }], /a layer of vfs/],
] as const)
  test(`layers of ${what} are refused with advice`, async () => {
    await assert.rejects(judged(rows), { code: 'FAILED_PRECONDITION', message: advice });
    await assert.rejects(judged(rows, 'erofs'), { code: 'FAILED_PRECONDITION' });
  });

test('nothing stands on a layer of a migration before all are there', () =>
  assert.rejects(judged([{ driver: 'vfs', used: true }], 'vfs'), { code: 'FAILED_PRECONDITION' }));

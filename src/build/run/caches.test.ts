import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Leases } from '../../db/leases.ts';
import { openDatabase } from '../../db/open.ts';
import { needs } from '../../testing/need.ts';
import { type CacheMount, openCache } from './caches.ts';

const MOUNT: CacheMount = {
  type: 'cache',
  id: 'k',
  target: '/c',
  source: '/',
  from: undefined,
  readonly: false,
  sharing: 'shared',
  mode: 0o750,
  uid: 7,
  gid: 8,
};

test(
  'a cache that could not be given its owner is made anew, with mode and owner, once',
  {
    skip: needs('root'),
  },
  async () => {
    await using dir = await mkdtempDisposable(join(tmpdir(), 'mica-caches-'));
    using db = await openDatabase(dir.path);
    using lease = new Leases(db).open('test');
    const open = (mount: CacheMount): ReturnType<typeof openCache> =>
      openCache(db, lease, mount, undefined);
    // No owner that there is.
    await assert.rejects(open({ ...MOUNT, uid: 2 ** 32 }), { code: 'ERR_OUT_OF_RANGE' });
    const opened = await Promise.all([open(MOUNT), open(MOUNT)]);
    assert.equal(opened.filter(({ isNew }) => isNew).length, 1);
    for (const cache of opened) {
      const { uid, gid, mode } = statSync(cache.path);
      assert.deepEqual([uid, gid, mode & 0o7777], [7, 8, 0o750]);
      cache[Symbol.dispose]();
    }
  },
);

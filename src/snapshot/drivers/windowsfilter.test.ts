import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { windowsfilter } from './windowsfilter.ts';

const scratch = (): ReturnType<typeof mkdtempDisposable> =>
  mkdtempDisposable(join(tmpdir(), 'windowsfilter-'));

test('layers are made, counted, told of and removed on any system, and nothing is mounted', async () => {
  await using dir = await scratch();
  const driver = windowsfilter(dir.path, { platform: 'linux' });
  const layer = { id: '7', kind: 'committed', parents: [] } as const;
  await driver.create(layer);
  await driver.create(layer);
  await writeFile(join(dir.path, '7/x'), Buffer.alloc(8192));
  const { size, inodes } = await driver.usage(layer);
  assert.ok(size >= 8192);
  assert.equal(inodes, 2);
  assert.deepEqual(await driver.inspect(layer), { dir: join(dir.path, '7') });
  assert.ok(!('mounts' in driver));
  await driver.remove(layer);
  await driver.remove(layer);
  await driver.purge!();
  assert.ok(!existsSync(join(dir.path, '7')));
});

test("on Windows a layer's mount names it and those below it, by names that no other store has", async () => {
  await using dir = await scratch();
  const [one, other] = ['a', 'b'].map((name) =>
    windowsfilter(join(dir.path, name), { platform: 'win32' }),
  );
  const active = { id: '3', kind: 'active', parents: ['2', '1'] } as const;
  const [mount] = await one!.mounts!(active);
  assert.equal(mount!.type, 'windows-layer');
  assert.match(mount!.source, /\/a\/3\/mica-[0-9a-f]{16}-3$/);
  const [access, parents] = mount!.options;
  assert.equal(access, 'rw');
  const listed = JSON.parse(parents!.slice('parentLayerPaths='.length)) as string[];
  assert.deepEqual(
    listed.map((path) => path.replace(/mica-[0-9a-f]+/, 'mica')),
    [join(dir.path, 'a/2/mica-2'), join(dir.path, 'a/1/mica-1')],
  );
  const [elsewhere] = await other!.mounts!(active);
  assert.notEqual(elsewhere!.source.split('/').at(-1), mount!.source.split('/').at(-1));
});

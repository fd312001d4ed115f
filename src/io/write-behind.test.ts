import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { performMounts } from '../sys/mount.ts';
import { saidOfLimit, underFileLimit } from '../testing/file-limit.ts';
import { needs } from '../testing/need.ts';
import { WriteBehind } from './write-behind.ts';

test('pieces follow each other in the file, each released once it is there', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'write-'));
  const path = join(dir.path, 'file');
  writeFileSync(path, 'what was here before'.repeat(99_999));
  const released: number[] = [];
  const pieces = Array.from({ length: 20 }, (_, at) => Buffer.alloc(10_000 * (at % 3), at));
  {
    await using file = new WriteBehind(path);
    for (const [at, bytes] of pieces.entries())
      file.write({ bytes, release: () => released.push(at) });
    await file.flush();
    assert.deepEqual(readFileSync(path), Buffer.concat(pieces));
    file.write({ bytes: Buffer.from('more'), release: () => released.push(20) });
  }
  assert.equal(readFileSync(path, 'latin1').slice(-4), 'more');
  assert.deepEqual(
    released,
    Array.from({ length: 21 }, (_, at) => at),
  );
});

test('a file that becomes larger than files may be is named, with what to do', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'write-'));
  const path = join(dir.path, 'file');
  const program = `
    import { WriteBehind } from ${JSON.stringify(import.meta.resolve('./write-behind.ts'))};
    await using file = new WriteBehind(${JSON.stringify(path)});
    file.write({ bytes: Buffer.alloc(100_000), release() {} });
    await file.flush().catch(told);`;
  const said = underFileLimit(program);
  assert.ok(said.startsWith(saidOfLimit(path)), said);
});

test(
  'on a full disk everything is released and every later call tells',
  { skip: needs('root') },
  async () => {
    await using dir = await mkdtempDisposable(join(tmpdir(), 'write-'));
    const disk = join(dir.path, 'disk');
    mkdirSync(disk);
    await using _ = await performMounts(
      [{ type: 'tmpfs', source: 'tmpfs', options: ['size=1m'] }],
      disk,
    );
    const path = join(disk, 'file');
    let released = 0;
    const piece = { bytes: Buffer.alloc(700_000, 'x'), release: () => void released++ };
    const full = { code: 'RESOURCE_EXHAUSTED' };
    {
      await using file = new WriteBehind(path);
      for (let turn = 0; turn < 4; turn++) file.write(piece);
      await assert.rejects(file.flush(), full);
      assert.equal(released, 4);
      assert.throws(() => file.write(piece), full);
      assert.equal(released, 5);
      await assert.rejects(file.flush(), full);
    }
    assert.ok(readFileSync(path).length > 700_000, 'a part of the second piece fitted');
  },
);

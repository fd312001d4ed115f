import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { EngineOptions } from '../../src/engine/config.ts';
import type { Engine } from '../../src/engine/engine.ts';
import { openEngine } from '../../src/engine/open.ts';
import { MicaError } from '../../src/errors.ts';
import { needs } from '../../src/testing/need.ts';
import { file, type Tree, tree } from '../../src/testing/tree.ts';
import { assertWhole, partialOf } from '../support/attempt.ts';
import { openOrigin } from '../support/origin.ts';
import { openSmallDisk } from '../support/small-disk.ts';

/** Disks that are full: the pull says so, and the store is none the worse for it. */
const origin = openOrigin();
after(async () => (await origin)[Symbol.asyncDispose]());

const skip = needs('loop', 'overlay');
const MB = 1_000_000;

async function assertFull(engine: Engine, reference: string): Promise<void> {
  await assert.rejects(engine.pull(reference), (error: unknown) => {
    assert.ok(error instanceof MicaError, String(error));
    assert.equal(error.code, 'RESOURCE_EXHAUSTED', error.message);
    return true;
  });
}

async function assertEmpty(options: EngineOptions): Promise<void> {
  await using engine = await openEngine(options);
  assert.deepEqual(await engine.images(), []);
  assert.deepEqual((await engine.check()).problems, []);
}

test(
  'a blob that does not fit is kept as far as it came, and completed when there is room',
  { skip },
  async () => {
    const there = await origin;
    const layers = [tree({ big: file(randomBytes(7 * MB)) })];
    const image = await there.image('disk/blob', layers, { compression: 'none' });
    await using disk = await openSmallDisk(5 * MB, 40 * MB);
    await using proxy = await there.proxy();
    const options = { root: join(disk.path, 'store'), driver: 'overlay2' };
    const reference = `${proxy.host}/disk/blob`;
    {
      await using engine = await openEngine(options);
      await assertFull(engine, reference);
    }
    await assertEmpty(options);
    const { digest, size } = image.layers[0]!;
    const have = partialOf(options, digest) ?? 0;
    assert.ok(have > MB, String(have));
    const before = proxy.sent(digest);
    await disk.makeRoom();
    await using engine = await openEngine(options);
    await engine.pull(reference);
    await assertWhole({ engine, reference, image, layers });
    assert.equal(proxy.sent(digest) - before, size - have);
  },
);

test(
  'a layer that does not fit unpacked leaves nothing, and the store works on',
  { skip },
  async () => {
    const there = await origin;
    const big = [tree({ 'many/big': file(Buffer.alloc(12 * MB, 'no hole')) })];
    const image = await there.image('disk/layer', big);
    const small: readonly Tree[] = [tree({ small: file('small') })];
    const other = await there.image('disk/small', small);
    await using disk = await openSmallDisk(6 * MB, 60 * MB);
    await using proxy = await there.proxy();
    const options = { root: join(disk.path, 'store'), driver: 'overlay2' };
    const reference = `${proxy.host}/disk/layer`;
    await using engine = await openEngine(options);
    await assertFull(engine, reference);
    await assertEmpty(options);
    await engine.pull(`${proxy.host}/disk/small`);
    await assertWhole({
      engine,
      reference: `${proxy.host}/disk/small`,
      image: other,
      layers: small,
    });
    await disk.makeRoom();
    await engine.pull(reference);
    await assertWhole({ engine, reference, image, layers: big });
  },
);

import assert from 'node:assert/strict';
import { cpSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { Engine } from '../../src/engine/engine.ts';
import { newImage } from '../support/attempt.ts';
import { openOrigin } from '../support/origin.ts';
import { openTemporaryEngine } from '../support/store.ts';

/** Repairs that were killed: the next one does what they have left. */
const origin = openOrigin();
after(async () => (await origin)[Symbol.asyncDispose]());

/** A store with an image. @param run - gets the directory of its lowest layer */
async function withLayer(
  run: (engine: Engine, layer: string, name: string) => Promise<void>,
): Promise<void> {
  const there = await origin;
  const pushed = await newImage(there);
  await using engine = await openTemporaryEngine({ driver: 'tar' });
  const name = `${new URL(there.url).host}/${pushed.name}`;
  const { image } = await engine.pull(name);
  await run(engine, image.layers[0]!.directory, name);
}

function damage(layer: string): void {
  const tar = join(layer, 'layer.tar');
  const bytes = readFileSync(tar);
  bytes[0]! ^= 1;
  writeFileSync(tar, bytes);
}

async function assertMended(engine: Engine): Promise<void> {
  const { problems } = await engine.check({ repair: true });
  const left = problems.filter(({ repaired }) => !repaired);
  assert.ok(problems.length > 0 && left.length === 0, JSON.stringify(problems));
  assert.deepEqual((await engine.check()).problems, []);
  const names = readdirSync(join(engine.root, 'layers')).filter((name) => !/^\d+$/.test(name));
  assert.deepEqual(names, ['.trash']);
}

test('a layer is made again although the last attempt was killed at it', () =>
  withLayer(async (engine, layer) => {
    damage(layer);
    cpSync(layer, `${layer}.repair`, { recursive: true });
    await assertMended(engine);
  }));

test('a layer is made again although the last attempt was killed before it took its place', () =>
  withLayer(async (engine, layer) => {
    renameSync(layer, `${layer}.repair`);
    await assertMended(engine);
  }));

test('what a killed repair has left is found and removed, also of a layer that has gone since', () =>
  withLayer(async (engine, layer, name) => {
    cpSync(layer, `${layer}.repair`, { recursive: true });
    await engine.remove(name);
    await engine.gc();
    await assertMended(engine);
  }));

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import type { Engine } from '../../src/engine/engine.ts';
import {
  describeDirectory,
  describeTree,
  type DescribeOptions,
} from '../../src/testing/describe.ts';
import { isMet } from '../../src/testing/need.ts';
import type { Tree } from '../../src/testing/tree.ts';
import { dependent, independent, opaqueRoot, repeated } from '../support/nasty.ts';
import { openOrigin } from '../support/origin.ts';
import { mountsBelow, openTemporaryEngine } from '../support/store.ts';

const DRIVERS = [
  'tar',
  ...(isMet('overlay') ? ['overlay2', 'vfs'] : []),
  ...(isMet('erofs') ? ['erofs'] : []),
];

interface Case {
  readonly name: string;
  readonly layers: readonly Tree[];
  readonly describe?: DescribeOptions;
}

const CASES: readonly Case[] = [
  { name: 'independent', layers: independent },
  { name: 'repeated', layers: repeated },
  { name: 'opaque-root', layers: opaqueRoot },
  { name: 'dependent', layers: dependent },
];

const origin = await openOrigin();
after(() => origin[Symbol.asyncDispose]());
const registry = new URL(origin.url).host;

async function mounted(engine: Engine, name: string, options?: DescribeOptions): Promise<string> {
  const { target } = await engine.mount(name);
  try {
    return describeDirectory(target, options);
  } finally {
    await engine.unmount(target);
  }
}

async function described(engine: Engine, name: string, options?: DescribeOptions): Promise<string> {
  await using tree = await engine.tree(name);
  return await describeTree(tree, options);
}

/** What squashing gave, by case and layer: every driver must give the same. */
const given = new Map<string, string>();

for (const driver of DRIVERS)
  for (const { name, layers, describe } of CASES)
    test(`${driver} shows of ${name} layers the same tree when they are squashed`, async () => {
      await using engine = await openTemporaryEngine({ driver });
      await origin.image(name, layers);
      const reference = `${registry}/${name}`;
      const { image } = await engine.pull(reference);
      const expected = await described(engine, reference, describe);
      for (let from = 1; from <= layers.length; from++) {
        const squashed = await engine.squash(reference, {
          from,
          names: [`squashed:${from}`],
          created: new Date(0),
        });
        assert.deepEqual(squashed.layers.slice(0, -1), image.layers.slice(0, from - 1));
        assert.equal(await described(engine, squashed.id, describe), expected, `from ${from}`);
        if (driver !== 'tar')
          assert.equal(
            await mounted(engine, `squashed:${from}`, describe),
            await mounted(engine, reference, describe),
            `mount, from ${from}`,
          );
        const key = `${name} ${from}`;
        assert.equal(squashed.id, given.get(key) ?? squashed.id, 'another driver gave another');
        given.set(key, squashed.id);
      }
      const flat = await engine.flatten(reference, { names: ['flat'] });
      assert.equal(await described(engine, 'flat', describe), expected);
      assert.deepEqual([flat.layers.length, flat.config.history?.length], [1, 1]);
      assert.deepEqual((await engine.check()).problems, []);
      assert.deepEqual(mountsBelow(engine.root), []);
    });

test('the history of squashed layers stays, as steps without layers', async () => {
  await using engine = await openTemporaryEngine({ driver: 'tar' });
  await origin.image('history', independent);
  await engine.pull(`${registry}/history`);
  const { config } = await engine.squash(`${registry}/history`, { from: 2, created: new Date(0) });
  assert.deepEqual(
    config.history?.map(({ created_by, empty_layer }) => [created_by, empty_layer === true]),
    [
      ['fixture layer 0', false],
      ['fixture layer 1', true],
      ['fixture layer 2', true],
      ['mica squash', false],
    ],
  );
  assert.equal(config.created, '1970-01-01T00:00:00.000Z');
});

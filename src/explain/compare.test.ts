import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { ImageConfig } from '../oci/config.ts';
import { describeTree } from '../testing/describe.ts';
import { packLayer } from '../testing/pack.ts';
import { layerStacks } from '../testing/stacks.ts';
import * as t from '../testing/tree.ts';
import { openUnion } from '../union/union.ts';
import { compareConfigs, compareTrees } from './compare.ts';

async function compared(
  before: readonly t.Tree[],
  after: readonly t.Tree[],
  sharedLayers = 0,
): Promise<string[]> {
  await using old = openUnion(before.map(packLayer));
  await using now = openUnion(after.map(packLayer));
  const changes = await Array.fromAsync(compareTrees(old, now, { sharedLayers }));
  return changes.map(({ kind, path, what }) => [kind, path, ...what].join(' '));
}

const CASES: Readonly<Record<string, readonly [t.Item, t.Item, string]>> = {
  type: [t.file('x'), t.link('x'), 'type'],
  content: [t.file('x'), t.file('y'), 'content'],
  size: [t.file('x'), t.file('xx'), 'content'],
  target: [t.link('x'), t.link('y'), 'target'],
  device: [t.char(1, 3), t.char(1, 5), 'device'],
  mode: [t.file('x'), t.file('x', { mode: 0o600 }), 'mode'],
  owner: [t.dir(), t.dir({ gid: 1 }), 'owner'],
  xattrs: [t.file('x'), t.file('x', { xattrs: { 'user.a': '1' } }), 'xattrs'],
  time: [t.file('x'), t.file('x', { mtimeNs: 1 }), 'time'],
};

for (const [what, [before, after, difference]] of Object.entries(CASES))
  test(`files that differ in their ${what} are told apart`, async () => {
    const changes = await compared([t.tree({ a: before })], [t.tree({ a: after })]);
    assert.deepEqual(changes, [`changed /a ${difference}`]);
  });

test('a path that is the beginning of another name does not mix up the order', async () => {
  const before = [t.tree({ 'a/x': t.file(), 'a.b': t.file(), b: t.file() })];
  const after = [t.tree({ 'a/x': t.file(), 'a/y': t.file(), 'a.b': t.file('z') })];
  assert.deepEqual(await compared(before, after), [
    'added /a/y',
    'changed /a.b content',
    'deleted /b',
  ]);
});

test('a large file is read to its end', async () => {
  const [one, other] = [Buffer.alloc(700_000, 1), Buffer.alloc(700_000, 1)];
  other[699_999] = 2;
  const changes = await compared([t.tree({ a: t.file(one) })], [t.tree({ a: t.file(other) })]);
  assert.deepEqual(changes, ['changed /a content']);
});

test('there is a difference between two trees exactly where their descriptions differ', async () => {
  const described = async (layers: readonly t.Tree[]): Promise<Map<string, string>> => {
    await using tree = openUnion(layers.map(packLayer));
    const lines = (await describeTree(tree)).split('\n').map((line) => line.split('\t'));
    // Which names are links of one file is not compared, so neither is what stands in their place.
    return new Map(
      lines.map(([path, type, ...rest]) => [path!, `${type} ${rest.slice(0, 4).join()}`]),
    );
  };
  await fc.assert(
    fc.asyncProperty(layerStacks(2), layerStacks(2), async (before, after) => {
      const changes = await compared(before, after);
      const found = new Set(changes.map((change) => change.split(' ')[1]!));
      const [old, now] = [await described(before), await described(after)];
      for (const path of new Set([...old.keys(), ...now.keys()]))
        if (old.get(path) !== now.get(path)) assert.ok(found.has(path), `${path} is not told`);
      assert.deepEqual(await compared(before, before), []);
    }),
    { numRuns: 150 },
  );
});

test('configs are compared by variable, label and field', () => {
  const common = {
    architecture: 'amd64',
    os: 'linux',
    rootfs: { type: 'layers', diff_ids: [] },
  } as const;
  const before: ImageConfig = { ...common, config: { Env: ['A=1', 'B=2'], User: 'u' } };
  const after: ImageConfig = { ...common, config: { Env: ['B=3', 'C='], User: 'u', Cmd: ['x'] } };
  assert.deepEqual(compareConfigs(before, after), [
    { field: 'Cmd', before: undefined, after: ['x'] },
    { field: 'Env A', before: '1', after: undefined },
    { field: 'Env B', before: '2', after: '3' },
    { field: 'Env C', before: undefined, after: '' },
  ]);
});

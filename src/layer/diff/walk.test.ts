import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Root } from '../../fs/root.ts';
import { Pace } from '../../io/pace.ts';
import { needs } from '../../testing/need.ts';
import { Walk } from './walk.ts';
import { wholeTree } from './whole-tree.ts';

/** What a walk sees in a tree in which somebody else removes `gone` once the directory `when` was listed. */
async function seen(path: string, when: string, forLayer: boolean): Promise<string[]> {
  const tree = wholeTree(path);
  const source = {
    ...tree,
    list(directory: Parameters<typeof tree.list>[0]) {
      const listing = tree.list(directory);
      if (directory.path === when) rmSync(join(path, 'gone'), { recursive: true });
      return listing;
    },
  };
  using root = new Root(path);
  const walk = new Walk(source, root, undefined, { pace: new Pace(), forLayer });
  return (await walk.run()).map((one) => one.path);
}

const file = (path: string): void => writeFileSync(path, '');
const directory = (path: string): void => mkdirSync(path);

for (const [what, make, when] of [
  ['a file that vanishes while its directory is looked at', file, ''],
  ['a directory that vanishes while the one above is looked at', directory, ''],
  ['a directory that vanishes before it is looked into', directory, 'a'],
] as const)
  test(`${what} is no change, and fails a layer`, { skip: needs('linux') }, async () => {
    await using dir = await mkdtempDisposable(join(tmpdir(), 'walk-'));
    mkdirSync(join(dir.path, 'a'));
    file(join(dir.path, 'here'));
    make(join(dir.path, 'gone'));
    assert.deepEqual(await seen(dir.path, when, false), ['', 'a', 'here']);
    make(join(dir.path, 'gone'));
    await assert.rejects(seen(dir.path, when, true), { code: 'NOT_FOUND' });
  });

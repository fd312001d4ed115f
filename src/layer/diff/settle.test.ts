import assert from 'node:assert/strict';
import { test } from 'node:test';
import { S_IFDIR } from '../../erofs/node.ts';
import type { FileStat } from '../../sys/stat.ts';
import { type LowerFile, LowerTree } from './lower-tree.ts';
import type { SeenDirectory } from './seen.ts';
import { settle } from './settle.ts';

const MODE = S_IFDIR | 0o755;
const LOWER = { inode: { mode: MODE } } as LowerFile;

test('directories below many of which something was deleted are looked at once, not for each of them', () => {
  let asked = 0;
  const directory = (path: string, parent?: SeenDirectory): SeenDirectory => ({
    path,
    parent,
    file: { stat: { mode: MODE } as FileStat, xattrs: [], target: undefined },
    lower: LOWER,
    state: 'modified',
    link: undefined,
    complete: true,
    opaque: false,
    names: [],
    deletions: 1,
    get kept() {
      asked++;
      return 0;
    },
    directories: [],
  });
  const seen = [directory('')];
  for (let depth = 0; depth < 100; depth++) seen.push(directory(`${depth}`, seen.at(-1)));
  const deepest = seen.at(-1)!;
  for (let wide = 0; wide < 100; wide++) seen.push(directory(`99/${wide}`, deepest));
  using lower = new LowerTree([]);
  const changes = settle(seen, lower);
  assert.equal(changes.filter((change) => 'opaque' in change && change.opaque).length, 200);
  assert.ok(asked < 1000, `asked ${asked} times`);
});

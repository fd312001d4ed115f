import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FileStat } from '../../sys/stat.ts';
import { wholeTree } from './whole-tree.ts';

for (const [what, ctime, ctimeNs, expected] of [
  ['changed in an earlier second', 9, 999_999_999, true],
  ['changed earlier in the same second', 10, 499_999_999, true],
  ['changed at that moment', 10, 500_000_000, false],
  ['changed later', 11, 0, false],
  ['changed in the same second, on a file system that has whole seconds', 10, 0, false],
] as const)
  test(`a file ${what} is ${expected ? 'taken for what it was' : 'looked at'}`, () => {
    const tree = wholeTree('/', { seconds: 10, nanoseconds: 500_000_000 });
    assert.equal(tree.isUntouched({ ctime, ctimeNs } as FileStat), expected);
  });

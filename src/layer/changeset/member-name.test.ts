import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cleanName } from './member-name.ts';

for (const [name, expected] of [
  ['a/b', 'a/b'],
  ['./a//b/./c/', 'a/b/c'],
  ['/../a', 'a'],
  ['a/../../b/c/..', 'b'],
  ['a/..', ''],
  ['..', ''],
  ['...', '...'],
  ['a/..b/.c', 'a/..b/.c'],
] as const)
  test(`${name} means ${expected || 'the root'}`, () => {
    assert.equal(cleanName(name), expected);
  });

test('a name that goes up and down again is walked at once', () => {
  const name = `${'a/'.repeat(400_000)}${'b/../'.repeat(200_000)}`;
  const before = process.threadCpuUsage();
  assert.throws(() => cleanName(name), { code: 'INVALID_ARGUMENT' });
  // Of the processor: to write the path anew at each step takes ten seconds.
  const { user } = process.threadCpuUsage(before);
  assert.ok(user < 2_000_000, `${user} microseconds`);
});

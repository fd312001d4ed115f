import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  algorithmOf,
  chainIds,
  type DiffId,
  hexOf,
  isDigest,
  parseDigest,
  sha256,
} from './digest.ts';

const diffIds = fc
  .array(fc.string(), { maxLength: 8 })
  .map((names) => names.map((name) => sha256(name) as DiffId));

test('the chain of a lower part is the lower part of the chain', () => {
  fc.assert(
    fc.property(diffIds, fc.nat(8), (ids, length) => {
      assert.deepEqual(chainIds(ids.slice(0, length)), chainIds(ids).slice(0, length));
    }),
  );
});

test('the lowest chain ID is its diffID, the next hashes both as the specification says', () => {
  const [a, b] = [sha256('a') as DiffId, sha256('b') as DiffId];
  assert.deepEqual(chainIds([a, b]), [a, sha256(`${a} ${b}`)]);
});

test('only sha256 and sha512 in lower case are digests', () => {
  const good = [sha256(''), `sha512:${'ab'.repeat(64)}`];
  for (const text of good) assert.equal(parseDigest(text), text);
  assert.equal(hexOf(sha256('')).length, 64);
  assert.equal(algorithmOf(parseDigest(good[1]!)), 'sha512');
  const bad = [
    '',
    'sha256:',
    sha256('').toUpperCase(),
    `${sha256('')}0`,
    `${sha256('')}\n`,
    `sha1:${'0'.repeat(40)}`,
    `sha256:../${'0'.repeat(61)}`,
  ];
  for (const text of bad) {
    assert.equal(isDigest(text), false, text);
    assert.throws(() => parseDigest(text), { code: 'INVALID_ARGUMENT' });
  }
});

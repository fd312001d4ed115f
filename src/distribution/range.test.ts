import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseChunkRange, parseRange } from './range.ts';

for (const [header, expected] of [
  [undefined, undefined],
  ['bytes=0-0', { start: 0, end: 1 }],
  ['bytes=0-', { start: 0, end: 100 }],
  ['bytes=10-19', { start: 10, end: 20 }],
  ['bytes=90-1000', { start: 90, end: 100 }],
  ['bytes=-1', { start: 99, end: 100 }],
  ['bytes=-1000', { start: 0, end: 100 }],
  ['BYTES = 1-2', undefined],
  ['Bytes=1-2', { start: 1, end: 3 }],
  ['bytes=-0', 'unsatisfiable'],
  ['bytes=100-', 'unsatisfiable'],
  ['bytes=99999999999999999999-', 'unsatisfiable'],
  ['bytes=5-4', undefined],
  ['bytes=-', undefined],
  ['bytes=0-1,5-6', undefined],
  ['items=0-1', undefined],
  ['bytes=a-b', undefined],
  ['bytes=0 - 1', undefined],
  ['bytes= 0-1 ', { start: 0, end: 2 }],
] as const)
  test(`of 100 bytes, ${header} is ${JSON.stringify(expected)}`, () => {
    assert.deepEqual(parseRange(header, 100), expected);
  });

test('a range that is full of blanks is read at once', () => {
  const before = process.threadCpuUsage();
  assert.equal(parseRange(`bytes=${' '.repeat(128 * 1024)}x`, 100), undefined);
  // Of the processor: where digits between blanks may be missing, a pattern takes seven seconds.
  const { user } = process.threadCpuUsage(before);
  assert.ok(user < 2_000_000, `${user} microseconds`);
});

test('nothing of an empty blob can be asked for', () => {
  assert.equal(parseRange('bytes=0-', 0), 'unsatisfiable');
  assert.equal(parseRange('bytes=-5', 0), 'unsatisfiable');
});

for (const [header, expected] of [
  ['0-0', { start: 0, end: 1 }],
  ['10-19', { start: 10, end: 20 }],
  ['bytes=10-19', { start: 10, end: 20 }],
  ['bytes 10-19/100', { start: 10, end: 20 }],
  ['19-10', undefined],
  ['10-', undefined],
  ['-10', undefined],
  ['10', undefined],
  ['9999999999999999-9999999999999999', undefined],
] as const)
  test(`the chunk ${header} is ${JSON.stringify(expected)}`, () => {
    assert.deepEqual(parseChunkRange(header), expected);
  });

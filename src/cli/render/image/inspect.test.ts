import assert from 'node:assert/strict';
import { test } from 'node:test';
import { goTime } from './inspect.ts';

for (const [time, expected] of [
  ['2024-02-03T04:05:06Z', '2024-02-03T04:05:06Z'],
  ['2024-02-03T04:05:06.000Z', '2024-02-03T04:05:06Z'],
  ['2024-02-03T04:05:06.120Z', '2024-02-03T04:05:06.12Z'],
  ['2024-02-03T04:05:06.102Z', '2024-02-03T04:05:06.102Z'],
  ['2024-02-03T04:05:06.100+02:00', '2024-02-03T04:05:06.1+02:00'],
  ['2024-02-03T04:05:06.', '2024-02-03T04:05:06'],
  ['', ''],
] as const)
  test(`${JSON.stringify(time)} is printed as Go prints it`, () => {
    assert.equal(goTime(time), expected);
  });

test('a time of very many digits is printed at once', () => {
  const time = `2024-02-03T04:05:06.${'0'.repeat(4_000_000)}1Z`;
  const before = process.threadCpuUsage();
  assert.equal(goTime(time), time);
  // Of the processor: a pattern that begins anew at each zero takes hours.
  const { user } = process.threadCpuUsage(before);
  assert.ok(user < 5_000_000, `${user} microseconds`);
});

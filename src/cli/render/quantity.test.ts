import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clock, duration, size, timeOfDay } from './quantity.ts';

// What go-units prints, which docker prints.
const SIZES: readonly (readonly [number, string])[] = [
  [0, '0B'],
  [999, '999B'],
  [1000, '1kB'],
  [12_345, '12.3kB'],
  [163_900_000, '164MB'],
  [1_234_567_890, '1.23GB'],
];

for (const [bytes, expected] of SIZES)
  test(`${bytes} bytes are ${expected}`, () => assert.equal(size(bytes), expected));

const [SECOND, MINUTE, HOUR, DAY] = [1000, 60_000, 3_600_000, 86_400_000];
const DURATIONS: readonly (readonly [number, string])[] = [
  [-5 * SECOND, 'Less than a second'],
  [450, 'Less than a second'],
  [SECOND, '1 second'],
  [59 * SECOND, '59 seconds'],
  [60 * SECOND, 'About a minute'],
  [3 * MINUTE, '3 minutes'],
  [59.9 * MINUTE, '59 minutes'],
  [80 * MINUTE, 'About an hour'],
  [95 * MINUTE, '2 hours'],
  [47 * HOUR, '47 hours'],
  [2 * DAY, '2 days'],
  [13 * DAY, '13 days'],
  [14 * DAY, '2 weeks'],
  [59 * DAY, '8 weeks'],
  [60 * DAY, '2 months'],
  [729 * DAY, '24 months'],
  [730 * DAY, '2 years'],
];

for (const [milliseconds, expected] of DURATIONS)
  test(`${milliseconds} ms are "${expected}"`, () =>
    assert.equal(duration(milliseconds), expected));

for (const [milliseconds, text] of [
  [0, '00:00:00'],
  [59_999, '00:00:59'],
  [86_399_000, '23:59:59'],
  [86_400_000, '1-00:00:00'],
  [(12 * 86_400 + 3 * 3600 + 4 * 60 + 5) * 1000, '12-03:04:05'],
] as const)
  test(`${milliseconds} ms of a processor are ${text}`, () => {
    assert.equal(clock(milliseconds), text);
  });

test('the time of day is that of the place', () => {
  const { TZ } = process.env;
  try {
    process.env.TZ = 'Asia/Kolkata';
    assert.equal(timeOfDay(0), '05:30');
    process.env.TZ = 'UTC';
    assert.equal(timeOfDay(0), '00:00');
  } finally {
    if (TZ === undefined) delete process.env.TZ;
    else process.env.TZ = TZ;
  }
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MicaError } from '../../errors.ts';
import { parseUntil } from './duration.ts';

const NOW = Date.parse('2026-01-31T12:00:00Z');

for (const [text, time] of [
  ['1h30m', '2026-01-31T10:30:00.000Z'],
  ['86400', '1970-01-02T00:00:00.000Z'],
  ['2024-02-29T00:00:00Z', '2024-02-29T00:00:00.000Z'],
] as const)
  test(`${text} is ${time}`, () => {
    assert.equal(parseUntil(text, 'until', NOW).toISOString(), time);
  });

for (const text of ['soon', '99999999999h', '9'.repeat(400) + 'h', '9'.repeat(20)])
  test(`${text.slice(0, 20)}, of ${text.length} characters, is refused`, () => {
    assert.throws(
      () => parseUntil(text, 'until', NOW),
      (error) => error instanceof MicaError && error.code === 'INVALID_ARGUMENT',
    );
  });

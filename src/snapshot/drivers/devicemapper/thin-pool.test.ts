import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isCode } from '../../../errors.ts';
import { parsePoolStatus, refuseFull } from './thin-pool.ts';

/** Lines of the kernel's, as `dmsetup status` prints them behind the target's name. */
const LINES: readonly (readonly [line: string, refusal: string | undefined])[] = [
  ['1 22/2048 100/1000 - rw discard_passdown error_if_no_space - 1024 ', undefined],
  ['1 22/2048 900/1000 - rw discard_passdown error_if_no_space - 1024 ', undefined],
  ['1 22/2048 901/1000 - rw discard_passdown error_if_no_space - 1024 ', 'RESOURCE_EXHAUSTED'],
  ['1 1900/2048 1/1000 - rw discard_passdown error_if_no_space - 1024 ', 'RESOURCE_EXHAUSTED'],
  [
    '1 22/2048 1000/1000 - out_of_data_space discard_passdown error_if_no_space - 1024 ',
    'RESOURCE_EXHAUSTED',
  ],
  ['1 22/2048 1/1000 - ro discard_passdown error_if_no_space needs_check 1024 ', 'DATA_LOSS'],
  ['1 2048/2048 1/1000 - ro discard_passdown error_if_no_space - 1024 ', 'RESOURCE_EXHAUSTED'],
  [
    '1 2040/2048 1/1000 - ro discard_passdown error_if_no_space needs_check 1024 ',
    'RESOURCE_EXHAUSTED',
  ],
  ['1 2048/2048 1/1000 - rw discard_passdown error_if_no_space needs_check 1024 ', 'DATA_LOSS'],
  ['1 22/2048 1/1000 - ro discard_passdown error_if_no_space - 1024 ', 'DATA_LOSS'],
  ['1 22/2048 1/1000 - rw discard_passdown error_if_no_space needs_check 1024 ', 'DATA_LOSS'],
  ['Fail', 'DATA_LOSS'],
  ['Error', 'DATA_LOSS'],
];

for (const [line, refusal] of LINES)
  test(`a pool that says "${line.trim()}" is ${refusal === undefined ? 'used' : 'refused'}`, () => {
    const check = (): void => refuseFull(parsePoolStatus(line), 'pool', 10);
    if (refusal === undefined) check();
    else assert.throws(check, (error) => isCode(error, refusal as 'DATA_LOSS'));
  });

test('the numbers of a pool are read from its status', () => {
  const { transaction, data, metadata } = parsePoolStatus(LINES[0]![0]);
  assert.equal(transaction, 1);
  assert.deepEqual(metadata, { used: 22, total: 2048 });
  assert.deepEqual(data, { used: 100, total: 1000 });
});

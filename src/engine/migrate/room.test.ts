import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Driver, LayerFacts } from '../../snapshot/driver.ts';
import { roomOf } from './room.ts';

const FACTS = {
  tarSize: 50_000,
  indexSize: 1000,
  stats: { bytes: 40_000, files: 10, directories: 1 },
} as unknown as LayerFacts;
const FILES = 40_000 + 10 * 2048 + 4096 + 1000;

const CASES: readonly (readonly [
  what: string,
  driver: Pick<Driver, 'form' | 'copies'>,
  room: number,
])[] = [
  ['that keeps tars', { form: 'tar' }, 51_000],
  ['that stacks directories', { form: 'overlay' }, FILES],
  ['whose trees share what they have of their parents', { form: 'direct' }, FILES],
  ['that copies its parents', { form: 'direct', copies: true }, FILES + 1_000_000],
];

for (const [what, driver, room] of CASES)
  test(`a layer on a parent of 1 MB takes so much room with a driver ${what}`, () =>
    assert.equal(roomOf(driver, FACTS, [{ size: 1_000_000 }]), room));

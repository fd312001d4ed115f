import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DiffId } from '../../oci/digest.ts';
import { depthBeyond } from './depth.ts';

const diffIdOf = (layer: string): DiffId => `sha256:${layer.padStart(64, '0')}` as DiffId;

for (const [what, most, layers, expected] of [
  ['as many layers as the driver stacks', 3, 'abc', undefined],
  ['one more', 3, 'abcd', { driver: 'few', most: 3, layers: 4 }],
  ['more, of which some are the same', 3, 'abacab', undefined],
  ['any number where the driver stacks any', undefined, 'abcdef', undefined],
] as const)
  test(`an image of ${what} ${expected === undefined ? 'can be mounted' : 'cannot'}`, () => {
    const driver = { name: 'few', ...(most !== undefined && { depth: most }) };
    assert.deepEqual(depthBeyond(driver, layers.split('').map(diffIdOf)), expected);
  });

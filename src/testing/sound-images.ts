import * as fc from 'fast-check';
import type { IndexOptions } from '../erofs/write.ts';
import { indexBytes } from '../erofs/write.ts';
import { anyPlan, DEVICE, plant } from './nodes.ts';

const OPTIONS: IndexOptions = {
  devices: [{ tag: 'ab'.repeat(32), size: DEVICE.length }],
  read: (_device, physical, into) => into.set(DEVICE.subarray(physical, physical + into.length)),
};

/** Indexes of `count` random trees, each time the same ones, to be damaged. */
export function soundImages(count: number): Buffer[] {
  const plans = fc.sample(anyPlan({ unaligned: true }), { seed: 7, numRuns: count });
  return plans.map((plan) => indexBytes(plant(plan), OPTIONS));
}

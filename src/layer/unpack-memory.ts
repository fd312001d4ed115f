import { inflateSlabs } from '../io/inflate-stream.ts';
import type { Slabs } from '../io/slabs.ts';
import { CHUNK } from './follow.ts';

/** What a thread unpacks layers in, one after the other: fresh memory costs more than a small layer does. */
export interface UnpackMemory {
  /** For the bytes as stored. */
  readonly chunk: Buffer;
  /** For what they inflate to. */
  readonly slabs: Slabs;
}

export const unpackMemory = (): UnpackMemory => ({
  chunk: Buffer.allocUnsafeSlow(CHUNK),
  slabs: inflateSlabs(),
});

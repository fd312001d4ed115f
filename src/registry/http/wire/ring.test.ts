import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Ring } from './ring.ts';

/** Pieces that a socket brings, and moments at which the reader takes. */
const steps = fc.array(
  fc.oneof(fc.record({ write: fc.integer({ min: 1, max: 40 }) }), fc.constant({ take: true })),
  { maxLength: 200 },
);

test('what is taken is what was written, in order, and nothing lent is overwritten', () => {
  fc.assert(
    fc.property(steps, fc.integer({ min: 1, max: 64 }), (all, size) => {
      const ring = new Ring(size);
      const written: number[] = [];
      const taken: number[] = [];
      let next = 0;
      let region = ring.region();
      let lent: { readonly piece: Buffer; readonly copy: Buffer } | undefined;
      const take = (): boolean => {
        const piece = ring.take();
        lent = piece && { piece, copy: Buffer.from(piece) };
        if (piece) taken.push(...piece);
        return piece !== undefined;
      };
      for (const step of all) {
        if ('take' in step) take();
        else {
          const length = Math.min(step.write, region.byteLength);
          for (let index = 0; index < length; index++) {
            written.push(next % 256);
            region[index] = next++ % 256;
          }
          ring.written(region, length);
          region = ring.region();
          assert.ok(region.byteLength > 0);
        }
        if (lent) assert.ok(lent.piece.equals(lent.copy));
      }
      while (take());
      assert.deepEqual(taken, written);
      assert.equal(ring.empty, true);
    }),
  );
});

test('a socket that is slower than its reader always finds the same memory', () => {
  const ring = new Ring(1024);
  const { buffer } = ring.region();
  for (let round = 0; round < 100; round++) {
    const region = ring.region();
    assert.equal(region.buffer, buffer);
    ring.written(region, Math.min(300, region.byteLength));
    assert.ok(ring.take());
  }
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { frame, FrameReader } from './frame.ts';

test('frames arrive as they were sent, however the stream is torn', () => {
  const frames = fc.array(
    fc.record({ stream: fc.integer({ min: 0, max: 3 }), data: fc.uint8Array({ maxLength: 40 }) }),
    { maxLength: 6 },
  );
  fc.assert(
    fc.property(frames, fc.integer({ min: 1, max: 20 }), (sent, step) => {
      const bytes = Buffer.concat(sent.map(({ stream, data }) => frame(stream, data)));
      const reader = new FrameReader();
      const received: { stream: number; data: number[] }[] = [];
      for (let at = 0; at < bytes.length; at += step)
        for (const { stream, data } of reader.push(bytes.subarray(at, at + step)))
          received.push({ stream, data: [...data] });
      assert.deepEqual(
        received,
        sent.map(({ stream, data }) => ({ stream, data: [...data] })),
      );
    }),
  );
});

for (const [what, bytes] of [
  ['a length beyond all bounds', [1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]],
  ['another protocol', [...Buffer.from('GET / HTTP/1.1')]],
] as const)
  test(`refuses ${what}`, () => {
    assert.throws(() => [...new FrameReader().push(Buffer.from(bytes))], {
      code: 'INVALID_ARGUMENT',
    });
  });

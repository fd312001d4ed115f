import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { detachKeys } from './detach-keys.ts';

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');

for (const [keys, chunks, passed, detached] of [
  ['ctrl-p,ctrl-q', ['ab', 'c'], 'abc', false],
  ['ctrl-p,ctrl-q', ['a\x10\x11b'], 'a', true],
  ['ctrl-p,ctrl-q', ['a\x10', '\x11'], 'a', true],
  ['ctrl-p,ctrl-q', ['\x10', 'x'], '\x10x', false],
  ['ctrl-p,ctrl-q', ['\x10\x10', '\x11'], '\x10', true],
  ['a,a,b', ['a', 'a', 'a', 'b'], 'a', true],
  ['ctrl-@', ['x\0'], 'x', true],
  ['', ['\x10\x11'], '\x10\x11', false],
] as const)
  test(`keys ${JSON.stringify(keys)} in ${JSON.stringify(chunks)}: ${detached ? 'left' : 'stays'}`, () => {
    const filter = detachKeys(keys);
    let [seen, left] = ['', false];
    for (const chunk of chunks) {
      const { data, detached: now } = filter.push(bytes(chunk));
      seen += data.toString('latin1');
      left ||= now;
    }
    assert.deepEqual([seen, left], [passed, detached]);
  });

test('however input is torn, keys are found exactly where they are', () => {
  const letters = fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 12 });
  const keys = fc.array(fc.constantFrom('a', 'b'), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(keys, letters, fc.integer({ min: 1, max: 5 }), (sequence, input, step) => {
      const text = input.join('');
      const at = text.indexOf(sequence.join(''));
      const filter = detachKeys(sequence.join(','));
      let seen = '';
      for (let from = 0; from < text.length; from += step) {
        const { data, detached } = filter.push(bytes(text.slice(from, from + step)));
        seen += data.toString('latin1');
        if (!detached) continue;
        assert.equal(seen, text.slice(0, at));
        return;
      }
      assert.equal(at, -1);
      // What may be the beginning of the keys is held back.
      assert.ok(text.startsWith(seen) && text.length - seen.length < sequence.length);
    }),
  );
});

for (const keys of ['ctrl-', 'ctrl-1', 'ab', 'ctrl-p,', 'ctrl-p ctrl-q', '\x01'])
  test(`refuses ${JSON.stringify(keys)} as detach keys`, () => {
    assert.throws(() => detachKeys(keys), { code: 'INVALID_ARGUMENT' });
  });

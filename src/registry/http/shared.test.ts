import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Shared } from './shared.ts';

const forever = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error));
  });

test('work goes on while somebody waits for it, and is aborted with the last one', async () => {
  let inner: AbortSignal | undefined;
  const shared = new Shared(new AbortController().signal, (signal) => forever((inner = signal)));
  const [a, b] = [new AbortController(), new AbortController()];
  const [first, second] = [shared.wait(a.signal), shared.wait(b.signal)];
  a.abort(new Error('a'));
  await assert.rejects(first, /a/);
  assert.deepEqual([inner?.aborted, shared.abandoned], [false, false]);
  b.abort(new Error('b'));
  await assert.rejects(second, /b/);
  assert.deepEqual([inner?.aborted, shared.abandoned], [true, true]);
});

test('a result outlives those who gave up waiting', async () => {
  const shared = new Shared(new AbortController().signal, async () => 1);
  assert.equal(await shared.wait(), 1);
  await assert.rejects(shared.wait(AbortSignal.abort()));
  assert.deepEqual([await shared.wait(), shared.abandoned], [1, false]);
});

test('work ends with the lifetime it was given', async () => {
  const lifetime = new AbortController();
  const waiting = new Shared(lifetime.signal, forever).wait();
  lifetime.abort(new Error('closed'));
  await assert.rejects(waiting, /closed/);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Slots } from './slots.ts';

test('never more run at once than there are slots, in order of arrival', async () => {
  const slots = new Slots(2);
  const order: number[] = [];
  let [running, most] = [0, 0];
  const task = (n: number) => async (): Promise<number> => {
    order.push(n);
    most = Math.max(most, ++running);
    await new Promise(setImmediate);
    running--;
    return n;
  };
  const results = await Promise.all([1, 2, 3, 4, 5].map((n) => slots.use(task(n))));
  assert.deepEqual([results, order, most], [[1, 2, 3, 4, 5], [1, 2, 3, 4, 5], 2]);
});

test('a failed task gives its slot back', async () => {
  const slots = new Slots(1);
  await assert.rejects(
    slots.use(() => Promise.reject(new Error('no'))),
    { message: 'no' },
  );
  assert.equal(await slots.use(async () => 'yes'), 'yes');
});

test('an abort while waiting rejects with the reason, and takes no slot', async () => {
  const slots = new Slots(1);
  const first = Promise.withResolvers<void>();
  const holding = slots.use(() => first.promise);
  const [stop, reason] = [new AbortController(), new Error('enough')];
  const waiting = slots.use(async () => assert.fail('it was aborted'), stop.signal);
  stop.abort(reason);
  await assert.rejects(waiting, reason);
  first.resolve();
  await holding;
  assert.equal(await slots.use(async () => 'free'), 'free');
});

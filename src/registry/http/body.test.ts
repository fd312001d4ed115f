import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Body } from './body.ts';

/** Notes what a body asks of its sender. */
function source(): { readonly asked: string[]; readonly body: Body } {
  const asked: string[] = [];
  const body = new Body({
    pause: () => void asked.push('pause'),
    resume: () => void asked.push('resume'),
    abort: () => void asked.push('abort'),
  });
  return { asked, body };
}

const MIB = 1024 * 1024;

test('the sender is paused while much is waiting, and goes on when it was read', async () => {
  const { asked, body } = source();
  for (let count = 0; count < 8; count++) body.push(new Uint8Array(MIB / 4));
  assert.deepEqual(asked, ['pause']);
  for (let count = 0; count < 6; count++) await body.next();
  assert.deepEqual(asked, ['pause']);
  await body.next();
  assert.deepEqual(asked, ['pause', 'resume']);
});

test('chunks are handed on as they are, in order, then the end', async () => {
  const { body } = source();
  const [a, b] = [Uint8Array.of(1), Uint8Array.of(2)];
  body.push(a);
  body.push(new Uint8Array());
  body.push(b);
  body.end();
  const chunks = await Array.fromAsync(body);
  assert.ok(chunks[0] === a && chunks[1] === b && chunks.length === 2);
  assert.equal((await body.next()).done, true);
});

test('a failure comes after what arrived before it', async () => {
  const { body } = source();
  body.push(Uint8Array.of(1));
  body.fail(new Error('cut'));
  assert.equal((await body.next()).done, false);
  await assert.rejects(body.next(), /cut/);
  await assert.rejects(body.next(), /cut/);
});

test('a reader who waits is told of the failure and of the end', async () => {
  const failing = source().body;
  const next = failing.next();
  failing.fail(new Error('cut'));
  await assert.rejects(next, /cut/);
  const ending = source().body;
  const last = ending.next();
  ending.end();
  assert.equal((await last).done, true);
});

test('a short rest is read, a long one is cut off', async () => {
  const short = source();
  short.body.push(new Uint8Array(100));
  short.body.end();
  await short.body.discard();
  assert.deepEqual(short.asked, []);
  const long = source();
  long.body.push(new Uint8Array(MIB / 2));
  await long.body.discard();
  assert.deepEqual(long.asked, ['abort']);
});

test('an answer longer than allowed is not collected', async () => {
  const { asked, body } = source();
  body.push(new Uint8Array(11));
  await assert.rejects(body.bytes(10, 'it'), { code: 'DATA_LOSS' });
  assert.deepEqual(asked, ['abort']);
});

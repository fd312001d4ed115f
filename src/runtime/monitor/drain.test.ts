import assert from 'node:assert/strict';
import { closeSync, writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { pipe } from '../../sys/pipe.ts';
import { needs } from '../../testing/need.ts';
import { drain } from './drain.ts';

test(
  'output is read to its end by who comes late, though others keep the pipe',
  { skip: needs('linux') },
  async () => {
    const { read, write } = pipe();
    writeSync(write, 'out');
    let [text, last] = ['', performance.now()];
    const source = new Socket({ fd: read, readable: true, writable: false });
    source.on('data', (data) => {
      text += String(data);
      last = performance.now();
    });
    const drained = drain(new Promise(() => undefined), () => last);
    // As on a machine that does something else.
    for (const until = performance.now() + 150; performance.now() < until;);
    await drained;
    source.destroy();
    closeSync(write);
    assert.equal(text, 'out');
  },
);

test('who ends all pipes is not waited for', async () => {
  const drained = drain(Promise.resolve(), () => Infinity).then(() => 'drained');
  assert.equal(await Promise.race([drained, setImmediate('one turn of the loop')]), 'drained');
});

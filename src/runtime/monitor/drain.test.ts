import assert from 'node:assert/strict';
import { once } from 'node:events';
import { closeSync, writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { pipe } from '../../sys/pipe.ts';
import { needs } from '../../testing/need.ts';
import { drain, endOf } from './drain.ts';

test(
  'output is read to its end by who comes late, though others keep the pipe',
  { skip: needs('linux') },
  async () => {
    const { read, write } = pipe();
    writeSync(write, 'out');
    let [text, last] = ['', process.uptime()];
    const source = new Socket({ fd: read, readable: true, writable: false });
    source.on('data', (data) => {
      text += String(data);
      last = process.uptime();
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

const PIPE = { skip: needs('linux'), timeout: 60_000 };

test('a pipe whose end came before anybody read has ended', PIPE, async () => {
  const { read, write } = pipe();
  const source = new Socket({ fd: read, readable: true, writable: false });
  closeSync(write);
  await once(source, 'close');
  await endOf(source);
});

test('a pipe that was written to ends when all of it was read', PIPE, async () => {
  const { read, write } = pipe();
  const source = new Socket({ fd: read, readable: true, writable: false });
  writeSync(write, 'all of it');
  closeSync(write);
  // Its end is known by now, and is behind what was not read.
  await once(source, 'readable');
  let text = '';
  source.on('data', (data) => (text += String(data)));
  await endOf(source);
  assert.equal(text, 'all of it');
});

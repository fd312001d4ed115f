import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { needs } from '../testing/need.ts';
import { identify, isAlive, sendSignal, signalNumber } from './process.ts';

for (const [name, number] of [
  ['SIGTERM', 15],
  ['term', 15],
  ['KILL', 9],
  ['15', 15],
  ['64', 64],
  ['RTMIN', 34],
  ['SIGRTMIN+3', 37],
  ['RTMAX-1', 63],
  ['0', undefined],
  ['65', undefined],
  ['RTMIN+31', undefined],
  ['SIG', undefined],
  ['-9', undefined],
  ['toString', undefined],
] as const)
  test(`signal ${name} is ${number}`, () => {
    assert.equal(signalNumber(name), number);
  });

test(
  'a signal reaches its process, and never another with the same number',
  { skip: needs('linux') },
  async () => {
    const child = spawn('sleep', ['100'], { stdio: 'ignore' });
    const identity = identify(child.pid!)!;
    assert.ok(isAlive(identity));
    assert.equal(sendSignal({ ...identity, started: '1' }, 9), false);
    assert.ok(isAlive(identity));
    assert.equal(sendSignal(identity, 10), true);
    const [, signal] = (await once(child, 'exit')) as [number | null, string];
    assert.equal(signal, 'SIGUSR1');
    assert.equal(sendSignal(identity, 9), false);
    assert.equal(isAlive(identity), false);
    assert.equal(identify(child.pid!), undefined);
  },
);

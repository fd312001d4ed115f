import assert from 'node:assert/strict';
import { test } from 'node:test';
import { needs } from '../../testing/need.ts';
import { refuseTooLong } from './argument-room.ts';

test(
  'an image with more variables than a call has parameters is refused as any too long',
  { skip: needs('linux') },
  () => {
    const env = Array.from({ length: 1_000_000 }, (_, at) => `E${at}=`);
    assert.throws(() => refuseTooLong({ args: ['x'], env, rlimits: [] }), {
      name: 'StartError',
      exitCode: 126,
    });
  },
);

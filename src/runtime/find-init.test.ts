import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { isCode } from '../errors.ts';
import { findInit } from './find-init.ts';

/** An ELF header of 64 bits, whose table of segments has entries of `size` bytes. */
function header(size: number): Buffer {
  const head = Buffer.alloc(64);
  head.write('\x7fELF\x02\x01', 'latin1');
  head.writeUInt16LE(size, 54);
  head.writeUInt16LE(0xffff, 56);
  return head;
}

for (const [what, content] of [
  ['a script', '#!/bin/sh\nexec "$@"\n'],
  ['a program whose table of segments is larger than any', header(0xffff)],
  ['a program that is cut off', header(56)],
] as const)
  test(`${what} is no init, and others are looked at`, async () => {
    await using dir = await mkdtempDisposable(join(tmpdir(), 'mica-init-'));
    const program = join(dir.path, 'docker-init');
    writeFileSync(program, content, { mode: 0o755 });
    try {
      assert.notEqual(findInit(dir.path), program);
    } catch (error) {
      // This machine has none.
      assert.ok(isCode(error, 'FAILED_PRECONDITION'), String(error));
    }
  });

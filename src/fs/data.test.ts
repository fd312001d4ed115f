import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { needs } from '../testing/need.ts';
import { copyData } from './data.ts';

test(
  'a file that is shorter than it was said to be ends the copy, with zeros',
  { skip: needs('linux') },
  async () => {
    await using dir = await mkdtempDisposable(join(tmpdir(), 'data-'));
    const [path, size] = [join(dir.path, 'copy'), 100_000];
    // Of /proc no file system says where its data end.
    const [from, to] = [openSync('/proc/version', 'r'), openSync(path, 'wx')];
    try {
      copyData(from, to, size, 'version');
    } finally {
      for (const fd of [from, to]) closeSync(fd);
    }
    const expected = Buffer.alloc(size);
    readFileSync('/proc/version').copy(expected);
    assert.ok(readFileSync(path).equals(expected));
  },
);

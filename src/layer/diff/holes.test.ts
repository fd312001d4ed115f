import assert from 'node:assert/strict';
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Pace } from '../../io/pace.ts';
import { needs } from '../../testing/need.ts';
import { dataRuns } from './holes.ts';

/** For whom it is always time to rest. */
class Slow extends Pace {
  rests = 0;

  override get due(): boolean {
    return true;
  }

  override rest(): Promise<void> {
    this.rests++;
    return super.rest();
  }
}

test(
  'others get their turn while zeros are looked for, and it can be aborted',
  { skip: needs('linux') },
  async () => {
    await using dir = await mkdtempDisposable(join(tmpdir(), 'holes-'));
    const [path, size] = [join(dir.path, 'zeros'), 2 << 20];
    writeFileSync(path, Buffer.alloc(size));
    const fd = openSync(path, 'r');
    try {
      const pace = new Slow();
      assert.deepEqual(await dataRuns(fd, size, 'zeros', pace), []);
      assert.equal(pace.rests, size / 65_536);
      const aborted = new AbortController();
      const stopped = dataRuns(fd, size, 'zeros', new Slow(aborted.signal));
      aborted.abort(new Error('enough'));
      await assert.rejects(stopped, /enough/);
    } finally {
      closeSync(fd);
    }
  },
);

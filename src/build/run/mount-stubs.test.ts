import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { needs } from '../../testing/need.ts';
import { makeMountStubs } from './mount-stubs.ts';

const skip = needs('linux');

test(
  'what was made to mount on is gone afterwards, and the directory is as old as before',
  { skip },
  async () => {
    await using top = await mkdtempDisposable(join(tmpdir(), 'mica-stubs-'));
    mkdirSync(join(top.path, 'there'));
    utimesSync(join(top.path, 'there'), 1000, 1000);
    const stubs = makeMountStubs(top.path, [
      { target: '/there/a/b', isFile: false },
      { target: '/there/file', isFile: true },
      { target: '/kept/file', isFile: true },
    ]);
    assert.deepEqual(readdirSync(join(top.path, 'there')).sort(), ['a', 'file']);
    writeFileSync(join(top.path, 'kept/beside'), '');
    stubs.remove();
    assert.deepEqual(readdirSync(join(top.path, 'there')), []);
    assert.equal(statSync(join(top.path, 'there')).mtimeMs, 1_000_000);
    assert.deepEqual(readdirSync(join(top.path, 'kept')), ['beside']);
    utimesSync(top.path, 3000, 3000);
    makeMountStubs(top.path, [{ target: '/new', isFile: false }]).remove();
    assert.equal(statSync(top.path).mtimeMs, 3_000_000);
  },
);

test(
  'a link that a command put on the way to a mount point leads to nothing that is removed',
  { skip },
  async () => {
    await using top = await mkdtempDisposable(join(tmpdir(), 'mica-stubs-'));
    const [rootfs, outside] = [join(top.path, 'rootfs'), join(top.path, 'outside')];
    for (const path of [rootfs, outside, join(outside, 'directory'), join(outside, 'old')])
      mkdirSync(path);
    mkdirSync(join(rootfs, 'image/old'), { recursive: true });
    writeFileSync(join(outside, 'file'), '');
    writeFileSync(join(outside, 'old/gone'), '');
    utimesSync(join(outside, 'old'), 2000, 2000);
    const stubs = makeMountStubs(rootfs, [
      { target: '/made/directory', isFile: false },
      { target: '/made/file', isFile: true },
      { target: '/image/old/gone', isFile: true },
    ]);
    for (const name of ['made', 'image']) {
      renameSync(join(rootfs, name), join(rootfs, `${name}.moved`));
      symlinkSync(outside, join(rootfs, name));
    }
    stubs.remove();
    for (const name of ['directory', 'file', 'old/gone'])
      assert.ok(existsSync(join(outside, name)), name);
    assert.equal(statSync(join(outside, 'old')).mtimeMs, 2_000_000);
  },
);

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { needs } from '../../testing/need.ts';
import * as t from '../../testing/tree.ts';

const run = promisify(execFile);
const skip = needs('userns');
const module = (path: string): string => JSON.stringify(import.meta.resolve(path));

/** Unpacks two layers in a user namespace, mounts them there, and prints what one sees. */
const INSIDE = `
const { unpackStack, overlayOf } = await import(${module('../../testing/unpack-stack.ts')});
const { performMounts } = await import(${module('../../sys/mount.ts')});
const { describeDirectory } = await import(${module('../../testing/describe.ts')});
const { readFileSync } = await import('node:fs');
const [form, work, ...archives] = process.argv.slice(1);
try {
  const layers = await unpackStack(archives.map((path) => readFileSync(path)), form, work);
  const view = { ...overlayOf(layers, work + '/bottom') };
  await using _ = await performMounts([{ ...view, options: ['userxattr', ...view.options] }], work + '/merged');
  const shown = form === 'direct' ? layers.at(-1).directory + '/fs' : work + '/merged';
  console.log(describeDirectory(shown, { root: false }));
} catch (error) {
  console.log('failed', error.code, error.message);
}`;

async function unpackInside(form: string, layers: readonly t.Tree[]): Promise<string[]> {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'userns-'));
  for (const name of ['merged', 'bottom']) mkdirSync(join(dir.path, name));
  const archives = layers.map((layer, at) => {
    const path = join(dir.path, `${at}.tar`);
    writeFileSync(path, t.tarOf(layer));
    return path;
  });
  const node = [process.execPath, '--input-type=module', '-e', INSIDE, form, dir.path, ...archives];
  const { stdout } = await run('unshare', ['--user', '--map-root-user', '--mount', ...node]);
  return stdout
    .trim()
    .split('\n')
    .map((line) => line.split('\t').slice(0, 4).join(' '));
}

const BASE = t.tree({
  gone: t.file(),
  dir: t.dir(),
  'dir/lower': t.file(),
  dev: t.file('a file that a device replaces'),
  cap: t.file('x', { xattrs: { 'trusted.x': '1', 'user.y': '2' } }),
});
const LAYER = t.tree({
  gone: t.whiteout(),
  dir: t.dir({ opaque: true }),
  'dir/upper': t.file('', { mode: 0o4755 }),
  dev: t.char(1, 3),
  fifo: t.fifo(),
});
const EXPECTED = [
  '/cap file 644 0:0',
  '/dir directory 755 0:0',
  '/dir/upper file 4755 0:0',
  '/fifo fifo 644 0:0',
];

for (const form of ['userxattr', 'direct'])
  test(`in a user namespace layers are stacked without devices (${form})`, { skip }, async () => {
    assert.deepEqual(await unpackInside(form, [BASE, LAYER]), EXPECTED);
  });

test('an owner that is not mapped is refused with advice', { skip }, async () => {
  const [line] = await unpackInside('userxattr', [t.tree({ a: t.file('', { uid: 1000 }) })]);
  assert.match(line!, /^failed INVALID_ARGUMENT .*1000:0.*subordinate ids/);
});

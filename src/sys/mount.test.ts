import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { needs } from '../testing/need.ts';
import { overlayRefusal } from './features.ts';
import { performMounts } from './mount.ts';
import { unmount } from './mount/unmount.ts';
import { lowerdirOption, type Mount, parseLowerdir } from './mount-data.ts';
import { mountByOldCall } from './mount/old-call.ts';
import { readMountinfo } from './mountinfo.ts';

const skip = needs('overlay');
const scratch = (): ReturnType<typeof mkdtempDisposable> =>
  mkdtempDisposable(join(tmpdir(), 'mount-'));

const make = (...path: string[]): string => {
  const full = join(...path);
  mkdirSync(full, { recursive: true });
  return full;
};

/** `count` directories, each with a file of its own. */
const layers = (root: string, count: number, name = 'layer'): string[] =>
  Array.from({ length: count }, (_, i) => {
    const path = make(root, `${name}${i}`);
    writeFileSync(join(path, `file${i}`), String(i));
    return path;
  });

const overlay = (paths: readonly string[], ...options: string[]): Mount => ({
  type: 'overlay',
  source: 'overlay',
  options: [...options, lowerdirOption(paths)],
});

const mountsBelow = (path: string): string[] =>
  readMountinfo()
    .filter(({ target }) => target.startsWith(path))
    .map(({ target }) => target);

test('lowerdir paths survive colons and backslashes', () => {
  const paths = ['/a:b', String.raw`/c\d`, '/e,f', String.raw`/g\:h`];
  const option = lowerdirOption(paths);
  assert.deepEqual(parseLowerdir(option.slice('lowerdir='.length)), paths);
});

for (const [title, count, name] of [
  ['two layers', 2, 'layer'],
  ['colons and commas in paths', 2, 'la:y,er\\'],
  ['more layers than a page of options has room for', 300, 'layer-with-a-long-name'],
  ['paths longer than the kernel takes', 2, 'l'.repeat(230)],
] as const)
  test(`an overlay shows ${title}, and vanishes when disposed of`, { skip }, async () => {
    await using dir = await scratch();
    const target = make(dir.path, 'merged');
    {
      await using _ = await performMounts([overlay(layers(dir.path, count, name))], target);
      assert.equal(readdirSync(target).length, count);
      assert.throws(() => writeFileSync(join(target, 'x'), ''), { code: 'EROFS' });
    }
    assert.deepEqual(mountsBelow(dir.path), []);
  });

for (const count of [2, 120])
  test(`mount(2) stacks ${count} layers where the new mount API cannot`, { skip }, async () => {
    await using dir = await scratch();
    const target = make(dir.path, 'merged');
    mountByOldCall(overlay(layers(dir.path, count, 'a-long:name,of-a-layer'), 'nosuid'), target);
    try {
      assert.equal(readdirSync(target).length, count);
    } finally {
      unmount(target);
    }
  });

test('a writable overlay leaves its changes in the upper directory', { skip }, async () => {
  await using dir = await scratch();
  const [upper, work, target] = ['u', 'w', 'm'].map((name) => make(dir.path, name));
  const mount = overlay(layers(dir.path, 2), `upperdir=${upper}`, `workdir=${work}`);
  {
    await using _ = await performMounts([mount], target!);
    writeFileSync(join(target!, 'new'), '1');
  }
  assert.equal(readFileSync(join(upper!, 'new'), 'utf8'), '1');
});

for (const by of ['new API', 'mount(2)'])
  test(`a read-only bind refuses writes (${by})`, { skip }, async () => {
    await using dir = await scratch();
    const [source, target] = [make(dir.path, 's'), make(dir.path, 't')];
    writeFileSync(join(source, 'x'), '1');
    const mount: Mount = { type: 'bind', source, options: ['rbind', 'ro', 'nosuid', 'nodev'] };
    if (by === 'mount(2)') mountByOldCall(mount, target);
    else await performMounts([mount], target);
    try {
      assert.equal(readFileSync(join(target, 'x'), 'utf8'), '1');
      assert.throws(() => writeFileSync(join(target, 'y'), ''), { code: 'EROFS' });
      const options = readMountinfo().find((info) => info.target === target)?.options ?? [];
      assert.ok(['ro', 'nosuid', 'nodev'].every((option) => options.includes(option)));
      writeFileSync(join(source, 'y'), 'the source stays writable');
    } finally {
      unmount(target);
    }
  });

test('a mount that fails says why, and undoes those before it', { skip }, async () => {
  await using dir = await scratch();
  const target = make(dir.path, 't');
  const bind: Mount = { type: 'bind', source: make(dir.path, 's'), options: ['rbind'] };
  const gone = join(dir.path, 'gone');
  await assert.rejects(performMounts([bind, overlay([gone, gone])], target), (error: Error) => {
    assert.match(error.message, /gone/);
    return true;
  });
  assert.deepEqual(mountsBelow(dir.path), []);
});

test('unmounting twice, or what is gone, is fine; what is in use is not', { skip }, async () => {
  await using dir = await scratch();
  const target = make(dir.path, 't');
  await performMounts([{ type: 'tmpfs', source: 'tmpfs', options: ['size=64k'] }], target);
  const inner = make(target, 'inner');
  await performMounts([{ type: 'tmpfs', source: 'tmpfs', options: [] }], inner);
  assert.throws(() => unmount(target), { code: 'FAILED_PRECONDITION' });
  unmount(target, { detach: true });
  unmount(target);
  unmount(join(target, 'never'));
  assert.deepEqual(mountsBelow(dir.path), []);
});

test('probing for overlayfs leaves nothing mounted', { skip }, async () => {
  await using dir = await scratch();
  assert.equal(await overlayRefusal(make(dir.path, 'one')), undefined);
  assert.equal(await overlayRefusal(make(dir.path, 'two'), { userxattr: true }), undefined);
  assert.match((await overlayRefusal(join(dir.path, 'none'))) ?? '', /ENOENT/);
  assert.deepEqual(mountsBelow(dir.path), []);
});

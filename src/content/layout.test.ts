import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { isCode } from '../errors.ts';
import { REF_NAME } from '../oci/annotations.ts';
import { OCI_CONFIG, OCI_LAYER, OCI_MANIFEST } from '../oci/media-type.ts';
import { blob, read, reopenable, testSink, testTags } from '../testing/content.ts';
import { watchDurability } from '../testing/durability.ts';
import { needs } from '../testing/need.ts';
import { copy } from './copy.ts';
import { openLayout } from './layout.ts';
import { MemoryStore } from './memory-store.ts';

const scratch = (): ReturnType<typeof mkdtempDisposable> =>
  mkdtempDisposable(join(tmpdir(), 'mica-layout-'));

const suite = {
  name: 'OCI layout',
  async open() {
    const dir = await scratch();
    return {
      store: openLayout(join(dir.path, 'layout'), { create: true }),
      [Symbol.asyncDispose]: () => dir.remove(),
    };
  },
};

testSink(suite);
testTags(suite);

function sample(): { from: MemoryStore; root: ReturnType<MemoryStore['put']> } {
  const from = new MemoryStore();
  const config = from.put(
    OCI_CONFIG,
    '{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}',
  );
  const layers = [from.put(OCI_LAYER, 'not a tar')];
  const document = { schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers };
  return { from, root: from.put(OCI_MANIFEST, JSON.stringify(document)) };
}

test(
  'skopeo reads what was copied and tagged, and what skopeo wrote is read',
  { skip: needs('skopeo') },
  async () => {
    await using dir = await scratch();
    const [ours, theirs] = [join(dir.path, 'ours'), join(dir.path, 'theirs')];
    const { from, root } = sample();
    const layout = openLayout(ours, { create: true });
    await copy(from, layout, root);
    await layout.tag('docker.io/library/a:1', root);
    execFileSync('skopeo', [
      'copy',
      '--quiet',
      `oci:${ours}:docker.io/library/a:1`,
      `oci:${theirs}:short`,
    ]);
    // It compresses on the way, so that the digests are others.
    const back = openLayout(theirs);
    const to = new MemoryStore();
    const named = await back.resolve('short');
    await copy(back, to, named);
    assert.equal(await to.has(named), true);
  },
);

test('a tag keeps other entries, and what the descriptor says besides', async () => {
  await using dir = await scratch();
  const { from, root } = sample();
  const layout = openLayout(dir.path, { create: true });
  await copy(from, layout, root);
  await layout.tag('a', { ...root, platform: { os: 'linux', architecture: 'arm64' } });
  await layout.tag('b', root);
  await layout.tag('a', { ...root, platform: { os: 'linux', architecture: 'amd64' } });
  const names = layout
    .list()
    .map(({ annotations, platform }) => [annotations?.[REF_NAME], platform?.architecture]);
  assert.deepEqual(names, [
    ['b', undefined],
    ['a', 'amd64'],
  ]);
});

test('what is no layout, or a future one, is refused', async () => {
  await using dir = await scratch();
  assert.throws(
    () => openLayout(join(dir.path, 'none')),
    (error) => isCode(error, 'NOT_FOUND'),
  );
  writeFileSync(join(dir.path, 'oci-layout'), '{"imageLayoutVersion":"2.0.0"}');
  assert.throws(
    () => openLayout(dir.path),
    (error) => isCode(error, 'FAILED_PRECONDITION'),
  );
  writeFileSync(join(dir.path, 'oci-layout'), 'nonsense');
  assert.throws(
    () => openLayout(dir.path),
    (error) => isCode(error, 'FAILED_PRECONDITION'),
  );
});

test('a hostile layout gives coded errors: a bad index, links and directories for blobs', async () => {
  await using dir = await scratch();
  const [target] = blob('secret');
  const layout = openLayout(dir.path, { create: true });
  const path = join(dir.path, 'blobs', 'sha256', target.digest.slice(7));
  writeFileSync(join(dir.path, 'elsewhere'), 'secret');
  symlinkSync('../../elsewhere', path);
  await assert.rejects(read(layout.fetch(target)), (error) => isCode(error, 'INVALID_ARGUMENT'));
  rmSync(path);
  mkdirSync(path);
  await assert.rejects(read(layout.fetch(target)), (error) => isCode(error, 'INVALID_ARGUMENT'));
  for (const index of [
    '',
    '[]',
    '{"schemaVersion":2,"manifests":7}',
    ' '.repeat(5 * 1024 * 1024),
  ]) {
    writeFileSync(join(dir.path, 'index.json'), index);
    await assert.rejects(layout.resolve('a'), (error) => isCode(error, 'INVALID_ARGUMENT'));
  }
});

test('a layout whose documents are no files is refused, and nothing waited for', async () => {
  await using dir = await scratch();
  const layout = openLayout(dir.path, { create: true });
  const kinds = [
    (path: string) => mkdirSync(path),
    (path: string) => symlinkSync('/dev/zero', path),
    (path: string) => execFileSync('mkfifo', [path]),
  ];
  for (const name of ['index.json', 'oci-layout'])
    for (const make of kinds) {
      const path = join(dir.path, name);
      const kept = readFileSync(path);
      rmSync(path);
      make(path);
      await assert.rejects(
        async () => await (name === 'index.json' ? layout : openLayout(dir.path)).resolve('a'),
        (error) => isCode(error, 'INVALID_ARGUMENT') && /not a regular file/.test(error.message),
      );
      rmSync(path, { recursive: true });
      writeFileSync(path, kept);
    }
});

test('creating a layout where there is one keeps it', async () => {
  await using dir = await scratch();
  const [target, bytes] = blob('kept');
  const first = openLayout(dir.path, { create: true });
  await first.push(target, reopenable(bytes));
  await first.tag('a', target);
  const again = openLayout(dir.path, { create: true });
  assert.equal((await again.resolve('a')).digest, target.digest);
  assert.match(readFileSync(join(dir.path, 'oci-layout'), 'utf8'), /1\.0\.0/);
});

test(
  'blobs, their names and the directories are on the disk before the index lists an image',
  { skip: needs('linux') },
  async () => {
    await using dir = await scratch();
    const path = join(dir.path, 'new', 'layout');
    const { from, root } = sample();
    await using watched = await watchDurability();
    const layout = openLayout(path, { create: true });
    const made = watched.steps.length;
    for (const above of [dir.path, join(dir.path, 'new')])
      assert.ok(watched.steps.includes(`sync ${above}`), above);
    await copy(from, layout, root);
    await layout.tag('one', root);
    const steps = watched.steps.slice(made);
    const blobs = join(path, 'blobs', 'sha256');
    const placed = steps.filter((step) => step.startsWith('rename') && step.includes(blobs));
    assert.equal(placed.length, 3);
    for (const step of placed) {
      const [, temporary] = step.split(' ');
      assert.ok(steps.indexOf(`sync ${temporary}`) < steps.indexOf(step), step);
      assert.ok(steps.includes(`sync ${temporary}`), step);
    }
    const listed = steps.findIndex((step) => step.endsWith(join(path, 'index.json')));
    for (const directory of [blobs, join(path, 'blobs')]) {
      const synced = steps.lastIndexOf(`sync ${directory}`);
      assert.ok(synced > steps.indexOf(placed.at(-1)!) && synced < listed, directory);
    }
    assert.equal(steps.at(-1), `sync ${path}`);
  },
);

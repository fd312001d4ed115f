import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EngineOptions } from '../../src/engine/config.ts';
import { openEngine } from '../../src/engine/open.ts';
import { parsePlatform } from '../../src/oci/platform.ts';
import { BlobFixture } from '../../src/testing/image-fixture.ts';
import { needs } from '../../src/testing/need.ts';
import { windowsTar, type WindowsMember } from '../../src/testing/windows-layer.ts';
import { openSmallDisk } from '../support/small-disk.ts';

/** Windows layers on full disks and in killed processes: all of a layer is there, or nothing. */

const MAIN = join(import.meta.dirname, '../../src/cli/main.ts');
const MB = 1_000_000;
const FILES = 1000;
const platform = parsePlatform('windows/amd64');

let scratch: Awaited<ReturnType<typeof mkdtempDisposable>>;
let layout: string;
before(async () => {
  scratch = await mkdtempDisposable(join(tmpdir(), 'mica-windows-'));
  layout = join(scratch.path, 'layout');
  const many = Array.from(
    { length: FILES },
    (_, at): WindowsMember => ({ path: `Files/d/${at}`, content: `${at}` }),
  );
  const base = windowsTar([{ path: 'Files/d', kind: 'directory' }, ...many]);
  const upper = windowsTar([
    { path: 'Files/big', content: randomBytes(8 * MB) },
    { path: 'Files/k', kind: 'link', target: 'Files/d/7' },
    { path: 'Files/d/8', kind: 'tombstone' },
  ]);
  const fixture = new BlobFixture();
  const options = { platform: { os: 'windows', architecture: 'amd64' } };
  const { descriptor } = await fixture.image([base, upper], options);
  await fixture.writeLayout(layout, { 'win:1': descriptor });
});
after(() => scratch[Symbol.asyncDispose]());

const optionsOf = (root: string): EngineOptions => ({ root, driver: 'windowsfilter' });

/** Loads the image, and sees that nothing of it is missing. */
async function loadWhole(root: string): Promise<void> {
  await using engine = await openEngine(optionsOf(root));
  assert.deepEqual((await engine.check()).problems, []);
  await engine.load(layout, { platform });
  assert.deepEqual((await engine.check()).problems, []);
  await using tree = await engine.tree('win:1');
  assert.equal(tree.readdir('/Files/D').length, FILES - 1);
  assert.equal((await tree.readFile('C:\\K')).toString(), '7');
}

test(
  'a layer that does not fit leaves nothing, and is loaded when there is room',
  { skip: needs('loop') },
  async () => {
    // Room for the base layer and the blobs, not for the upper layer's files.
    await using disk = await openSmallDisk(17 * MB, 90 * MB);
    const root = join(disk.path, 'store');
    {
      await using engine = await openEngine(optionsOf(root));
      await assert.rejects(engine.load(layout, { platform }), { code: 'RESOURCE_EXHAUSTED' });
      assert.deepEqual(await engine.images(), []);
      assert.deepEqual((await engine.check()).problems, []);
    }
    await disk.makeRoom();
    await loadWhole(root);
  },
);

function load(root: string): ChildProcess {
  const words = [
    '--root',
    root,
    '--storage-driver',
    'windowsfilter',
    'load',
    '-q',
    '--platform',
    'windows/amd64',
    '-i',
    layout,
  ];
  return spawn(process.execPath, [MAIN, ...words], { stdio: 'ignore' });
}

/** Which file of the store tells that the process has come so far. */
const MOMENTS = [
  'layers/1/layer.headers',
  'layers/1/fs/tombstones.txt',
  'layers/2/fs/Files/big',
  'layers/2/links.json',
] as const;
for (const moment of MOMENTS)
  test(`killed when ${moment} is there, a load leaves a store in which it can be done again`, async () => {
    await using dir = await mkdtempDisposable(join(tmpdir(), 'mica-windows-kill-'));
    const root = join(dir.path, 'store');
    const child = load(root);
    const ended = once(child, 'close');
    while (child.exitCode === null && !existsSync(join(root, moment))) await sleep(1);
    child.kill('SIGKILL');
    await ended;
    await loadWhole(root);
  });

test('two processes that load one image at once make its layers once', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'mica-windows-two-'));
  const root = join(dir.path, 'store');
  const both = [load(root), load(root)];
  await Promise.all(both.map((child) => once(child, 'close')));
  assert.deepEqual(
    both.map(({ exitCode }) => exitCode),
    [0, 0],
  );
  await loadWhole(root);
  await using engine = await openEngine(optionsOf(root));
  const [image] = await engine.images();
  assert.equal(new Set(image!.layers.map(({ directory }) => directory)).size, 2);
  assert.ok(!existsSync(join(root, 'layers/3/index.erofs')));
});

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempDisposable, mkdir, readdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { dockerArchive } from '../../src/testing/docker-archive.ts';
import { needs } from '../../src/testing/need.ts';
import { file, tarOf, tree } from '../../src/testing/tree.ts';
import { runMica } from '../cli/kit.ts';
import { openSmallDisk } from '../support/small-disk.ts';

/** Verbs that make images, killed at any moment and on full disks: an image is there whole, or not at all. */
const MAIN = join(import.meta.dirname, '../../src/cli/main.ts');
/** What does not compress, in bytes. */
const NOISE = 3_000_000;

const VERBS: readonly (readonly [name: string, ...args: string[]])[] = [
  ['append', 'app', 'FILES', '-t', 'new'],
  ['squash', 'app', '-t', 'new'],
  ['flatten', 'app', '-t', 'new'],
  ['convert', '--format', 'oci', '--compression', 'zstd', '-t', 'new', 'app'],
  ['build', '-t', 'new', 'FILES'],
  ['import', 'LAYER', 'new'],
];

/** A directory with a store that has the image `app`, and what to make others of. */
interface Place {
  readonly args: (words: readonly string[]) => string[];
  readonly ok: (...words: string[]) => Promise<string>;
  readonly root: string;
}

async function placeIn(files: string, root: string): Promise<Place> {
  const args: Place['args'] = (words) => [
    '--root',
    root,
    '--storage-driver',
    'tar',
    ...words.map((word) =>
      word.replace(/^FILES$/, join(files, 'context')).replace(/^LAYER$/, join(files, 'layer.tar')),
    ),
  ];
  return {
    args,
    root,
    async ok(...words) {
      const { code, stdout, stderr } = await runMica(args(words));
      assert.equal(code, 0, `${words.join(' ')}\n${stdout}${stderr}`);
      return stdout;
    },
  };
}

async function writeFiles(directory: string): Promise<void> {
  const layer = (name: string): Buffer => tarOf(tree({ [name]: file(randomBytes(NOISE)) }));
  const layers = [layer('one'), layer('two')];
  await writeFile(join(directory, 'app.tar'), dockerArchive([{ tags: ['app'], layers }]));
  await writeFile(join(directory, 'layer.tar'), layer('imported'));
  await mkdir(join(directory, 'context'));
  await writeFile(join(directory, 'context', 'noise'), randomBytes(NOISE));
  await writeFile(join(directory, 'context', 'Dockerfile'), 'FROM app\nCOPY noise /\nWORKDIR /w\n');
}

/** Nothing is damaged, nothing is left over, and what has the name is whole. */
async function assertSound({ ok, args, root }: Place): Promise<void> {
  await ok('gc');
  assert.match(await ok('check'), /everything is as it should be/);
  assert.deepEqual(await readdir(join(root, 'content', 'ingest')), []);
  assert.equal(await ok('images', '-q', 'app').then((text) => text.split('\n').length), 2);
  for (const id of new Set((await ok('images', '-q', '-a')).split('\n').filter(Boolean))) {
    const { code, bytes } = await runMica(args(['cp', `${id}:/`, '-']));
    assert.deepEqual([code, bytes.length > NOISE], [0, true]);
  }
}

for (const [verb, ...rest] of VERBS)
  test(`${verb} may be killed at any moment`, async () => {
    await using dir = await mkdtempDisposable(join(tmpdir(), 'mica-derive-'));
    await writeFiles(dir.path);
    const place = await placeIn(dir.path, join(dir.path, 'store'));
    await place.ok('load', '-q', '-i', join(dir.path, 'app.tar'));
    let [killed, took] = [0, 1500];
    const parts = [0.4, 0.6, 0.8, 0.5, 0.3, 0.2, 0.1];
    // Three times; more often where the machine is quicker than it was a moment ago.
    for (let tries = 0; tries < 3 || (killed === 0 && tries < parts.length); tries++) {
      const child = spawn(process.execPath, [MAIN, ...place.args([verb, ...rest])], {
        stdio: 'ignore',
      });
      const begun = performance.now();
      const exit = once(child, 'exit') as Promise<[number | null]>;
      await Promise.race([exit, setTimeout(took * parts[tries]!)]);
      child.kill('SIGKILL');
      const [code] = await exit;
      if (code === null) killed++;
      else took = performance.now() - begun;
      assert.ok(code === null || code === 0, String(code));
      await assertSound(place);
    }
    assert.ok(killed > 0);
    await place.ok(verb, ...rest);
    await assertSound(place);
  });

test(
  'on a full disk every verb says so, and works when there is room',
  { skip: needs('loop') },
  async () => {
    await using dir = await mkdtempDisposable(join(tmpdir(), 'mica-derive-'));
    await writeFiles(dir.path);
    await using disk = await openSmallDisk(5 * NOISE, 30 * NOISE);
    const place = await placeIn(dir.path, join(disk.path, 'store'));
    await place.ok('load', '-q', '-i', join(dir.path, 'app.tar'));
    await writeFile(join(disk.path, 'more'), randomBytes(Math.round(0.5 * NOISE)));
    for (const [verb, ...rest] of VERBS) {
      const { code, stderr } = await runMica(place.args([verb, ...rest]));
      assert.notEqual(code, 0, verb);
      assert.match(stderr, /no space|space left|full/i, `${verb}: ${stderr}`);
      await assertSound(place);
    }
    await disk.makeRoom();
    for (const [verb, ...rest] of VERBS) await place.ok(verb, ...rest);
    await assertSound(place);
  },
);

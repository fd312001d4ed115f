import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { after, before, test } from 'node:test';
import { Interrupted } from '../../src/cli/failure.ts';
import { run } from '../../src/cli/run.ts';
import { VERSION } from '../../src/engine/version.ts';
import { needs } from '../../src/testing/need.ts';
import { file, tree } from '../../src/testing/tree.ts';
import { type Kit, openKit, runMica } from './kit.ts';

let kit: Kit;
before(async () => {
  kit = await openKit();
  await kit.origin.image('app', [tree({ a: file('1') }), tree({ b: file('2') })]);
  await kit.ok('pull -q REG/app');
  await kit.ok('tag REG/app app:1');
});
after(() => kit[Symbol.asyncDispose]());

test('the registry serves the store until it is interrupted, and ends well', async () => {
  const stop = new AbortController();
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const args = ['--root', kit.root, 'registry', '--listen', '127.0.0.1:0', '--json'];
  const ended = run(args, { stdin: Readable.from([]), stdout, stderr }, stop.signal);
  const [first] = (await stdout.iterator({ destroyOnReturn: false }).next()).value
    .toString()
    .split('\n');
  const { url, writable } = JSON.parse(first) as { url: string; writable: boolean };
  assert.equal(writable, false);
  const answer = await fetch(`${url}/v2/library/app/tags/list`);
  assert.deepEqual(await answer.json(), { name: 'library/app', tags: ['1'] });
  stop.abort(new Interrupted('SIGINT'));
  assert.equal(await ended, 0);
  const request = JSON.parse(String(stderr.read()).split('\n')[0]!) as Record<string, unknown>;
  assert.deepEqual([request['target'], request['status']], ['/v2/library/app/tags/list', 200]);
});

test(
  'a view is mounted, listed by its image, and unmounted',
  { skip: needs('overlay') },
  async () => {
    const root = ['--root', join(kit.directory, 'mounts'), '--storage-driver', 'overlay2'];
    const mica = async (...args: string[]): Promise<string> => {
      const { code, stdout, stderr } = await runMica([
        ...root,
        ...args.map((arg) => arg.replace('REG', kit.registry)),
      ]);
      assert.equal(code, 0, stderr);
      return stdout;
    };
    await mica('pull', '-q', 'REG/app');
    const path = (await mica('mount', 'REG/app@1')).trim();
    try {
      assert.deepEqual([existsSync(join(path, 'a')), existsSync(join(path, 'b'))], [true, false]);
      assert.match(
        await mica('mount'),
        new RegExp(`^${kit.registry}/app:latest +1 +${path}$`, 'm'),
      );
    } finally {
      assert.equal(await mica('umount', 'REG/app'), `${path}\n`);
    }
    assert.equal(await mica('mount', '--json'), '[]\n');
  },
);

test('bin/mica runs from a checkout, through links to it', { skip: needs('linux') }, () => {
  const script = join(import.meta.dirname, '../../bin/mica');
  const link = join(kit.directory, 'mica');
  symlinkSync(script, link);
  for (const path of [script, link])
    assert.equal(execFileSync(path, ['--version'], { encoding: 'utf8' }), `mica ${VERSION}\n`);
});

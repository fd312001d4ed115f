import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { mountsBelow } from '../support/store.ts';
import { type ContainerKit, openContainerKit, skip } from './container-kit.ts';

const A_B_C = ['/data/a', '/data/a/b', '/data/a/b/c'];

const sh = (script: string): string[] => ['sh', '-c', script];

describe('cp of containers', { skip }, () => {
  let box: ContainerKit & AsyncDisposable;
  let here: string;
  before(async () => {
    box = await openContainerKit();
    here = join(box.kit.directory, 'here');
    mkdirSync(here);
    const script =
      'mkdir /out; echo x > /out/file; ln -s file /out/link; ln /out/file /out/hard; sleep 1000';
    await box.ok(['run', '-d', '--name', 'up', 'box', ...sh(script)]);
    await box.ok('create --name down box');
    while ((await box.mica('exec up test -e /out/hard')).code !== 0);
  });
  after(() => box[Symbol.asyncDispose]());

  test('a file, a directory and its content come out of a container', async () => {
    await box.ok(['cp', 'up:/out/file', join(here, 'renamed')]);
    assert.equal(readFileSync(join(here, 'renamed'), 'utf8'), 'x\n');
    await box.ok(['cp', 'up:out', here]);
    assert.equal(readlinkSync(join(here, 'out/link')), 'file');
    assert.equal(lstatSync(join(here, 'out/hard')).nlink, 2);
    mkdirSync(join(here, 'content'));
    await box.ok(['cp', 'up:/out/.', join(here, 'content')]);
    assert.ok(existsSync(join(here, 'content/file')));
    await box.ok(['cp', 'down:/data', join(here, 'data')]);
    assert.equal(readFileSync(join(here, 'data/one'), 'utf8'), 'one');
    await box.ok(['cp', '-L', 'up:/out/link', join(here, 'followed')]);
    assert.ok(lstatSync(join(here, 'followed')).isFile());
    assert.deepEqual(mountsBelow(join(box.kit.root, 'containers')).length, 1);
  });

  test('- is a tar archive on standard output', async () => {
    const { bytes } = await box.mica('cp down:/data -');
    const names = execFileSync('tar', ['-t'], { input: bytes, encoding: 'utf8' })
      .trim()
      .split('\n');
    assert.deepEqual(names, ['data/', 'data/one', 'data/three', 'data/two']);
  });

  for (const name of ['up', 'down'])
    test(`files of this machine go into ${name}, as root's, under docker's names`, async () => {
      mkdirSync(join(here, `in-${name}/sub`), { recursive: true });
      writeFileSync(join(here, `in-${name}/sub/a`), 'a', { mode: 0o4755 });
      symlinkSync('a', join(here, `in-${name}/sub/l`));
      await box.ok(['cp', join(here, `in-${name}`), `${name}:/data`]);
      await box.ok(['cp', join(here, `in-${name}/sub/a`), `${name}:/data/b`]);
      await box.ok(['cp', join(here, `in-${name}/.`), `${name}:/fresh`]);
      await box.ok(['cp', `${name}:/data/in-${name}/sub`, join(here, `back-${name}`)]);
      assert.equal(readFileSync(join(here, `back-${name}/a`), 'utf8'), 'a');
      const text = await box.ok(`diff ${name}`);
      for (const path of [`/data/in-${name}/sub/l`, '/data/b', '/fresh/sub/a'])
        assert.ok(text.includes(`A ${path}\n`), text);
    });

  test('a link in the container leads nowhere out of it, whichever way one copies', async () => {
    await box.ok(['exec', 'up', ...sh(`ln -s ${here} /escape; ln -s /etc/passwd /secret`)]);
    writeFileSync(join(here, 'evil'), 'evil');
    assert.notEqual((await box.mica(['cp', join(here, 'evil'), 'up:/escape/'])).code, 0);
    await box.ok(['cp', '-L', 'up:/secret', join(here, 'secret')]);
    assert.match(readFileSync(join(here, 'secret'), 'utf8'), /^root:x:0:0::\/root:\/bin\/sh\njoe/);
  });

  test('names that are marks in a layer are names in diff, export and cp, and stop a commit', async () => {
    await box.ok(['run', '--name', 'marks', 'box', ...sh('mkdir /m; echo x > /m/.wh.a')]);
    assert.equal(await box.ok('diff marks'), 'A /m\nA /m/.wh.a\n');
    for (const line of ['export marks', 'cp marks:/ -', 'cp marks:/m -']) {
      const { code, bytes, stderr } = await box.mica(line);
      assert.equal(code, 0, stderr);
      const names = execFileSync('tar', ['-t'], { input: bytes, encoding: 'utf8' });
      assert.match(names, /^m\/\.wh\.a$/m);
    }
    const { code, stderr } = await box.mica('commit marks marks');
    assert.equal(code, 2);
    assert.match(stderr, /m\/\.wh\.a: in a layer this name means a deletion/);
  });

  test('an archive need not say what is above its members', async () => {
    mkdirSync(join(here, 'bare/a/b'), { recursive: true });
    writeFileSync(join(here, 'bare/a/b/c'), 'c', { mode: 0o600 });
    const input = execFileSync('tar', ['-c', '--owner=7', '-C', join(here, 'bare'), 'a/b/c']);
    const { code, stderr } = await box.mica('cp - up:/data', { stdin: input });
    assert.equal(code, 0, stderr);
    const listed = await box.ok(['exec', 'up', 'busybox', 'stat', '-c', '%n %a %u', ...A_B_C]);
    assert.equal(listed, '/data/a 755 0\n/data/a/b 755 0\n/data/a/b/c 600 7\n');
  });

  for (const [words, code, message] of [
    [['HERE/file', 'down:/none/x'], 3, 'the directory /none does not exist'],
    [['HERE/file', 'down:none/'], 3, 'the directory /none/ does not exist'],
    [['-', 'down:/none'], 3, 'the directory /none does not exist'],
    [['-', 'down:/data/one'], 6, '/data/one is not a directory'],
    [['down:/data/none', '.'], 3, '/data/none does not exist'],
    [['down:/data/one/x', '.'], 3, '/data/one/x does not exist'],
    [['HERE/none', 'down:/'], 3, 'HERE/none does not exist'],
  ] as const)
    test(`cp ${words.join(' ')} says what is missing`, async () => {
      writeFileSync(join(here, 'file'), '');
      const told = words.map((word) => word.replace('HERE', here));
      const result = await box.mica(['cp', ...told], { stdin: Buffer.alloc(1024) });
      assert.deepEqual(
        [result.code, result.stderr],
        [code, `mica: ${message.replace('HERE', here)}\n`],
      );
    });
});

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { mountsBelow } from '../support/store.ts';
import { type ContainerKit, openContainerKit, skip } from './container-kit.ts';

const sh = (script: string): string[] => ['sh', '-c', script];

describe('containers', { skip }, () => {
  let box: ContainerKit & AsyncDisposable;
  before(async () => {
    box = await openContainerKit();
  });
  after(() => box[Symbol.asyncDispose]());

  /** What is left of containers on disk and in the kernel. */
  const left = (): string[] => [
    ...readdirSync(join(box.kit.root, 'containers')),
    ...mountsBelow(join(box.kit.root, 'containers')),
  ];

  test('run gives the output of the process and ends as it does, and --rm leaves nothing', async () => {
    const ran = await box.mica(['run', '--rm', 'box', ...sh('echo out; echo err >&2; exit 7')]);
    assert.deepEqual([ran.code, ran.stdout, ran.stderr], [7, 'out\n', 'err\n']);
    assert.deepEqual(left(), []);
  });

  for (const [what, words, code] of [
    ['a command that is not there', ['box', 'nothing'], 127],
    ['a file that cannot be executed', ['box', '/etc/passwd'], 126],
    ['an image that is not there', ['--pull', 'never', 'no/such:1', 'true'], 125],
    ['a network that Mica does not have', ['--network', 'bridge', 'box', 'true'], 125],
    ['a port that is to be published', ['-p', '80:80', 'box', 'true'], 125],
    ['a size limit that the driver cannot keep', ['--storage-opt', 'size=1g', 'box', 'true'], 125],
  ] as const)
    test(`run of ${what} ends with ${code}, and nothing is left`, async () => {
      const ran = await box.mica(['run', '--rm', ...words]);
      assert.equal(ran.code, code, ran.stderr);
      assert.deepEqual(left(), []);
    });

  test('run --rm tells of a container that could neither be started nor removed', async () => {
    const held = join(box.kit.directory, 'held');
    mkdirSync(held);
    const runtime = join(box.kit.directory, 'runtime');
    // Shows the tree elsewhere, so that it cannot be taken away, and fails.
    const script = `#!/bin/sh\nwhile [ "$1" != --bundle ]; do shift; done\nmount --bind "$2/rootfs" ${held}\nexit 1\n`;
    writeFileSync(runtime, script, { mode: 0o755 });
    const config = join(box.kit.directory, 'config.json');
    writeFileSync(config, JSON.stringify({ 'default-runtime': runtime }));
    try {
      const ran = await box.mica([
        '--config',
        config,
        'run',
        '--rm',
        '--name',
        'kept',
        'box',
        'true',
      ]);
      assert.equal(ran.code, 125);
      assert.match(ran.stderr, /^mica: container kept is left: .* it is mounted on .*held/m);
      assert.match(ran.stderr, /^mica: start container /m);
    } finally {
      execFileSync('umount', [held]);
    }
    await box.ok('rm kept');
    assert.deepEqual(left(), []);
  });

  test('flags reach the process', async () => {
    const script = 'id -u; pwd; echo $A $FROM_IMAGE; hostname; touch /x || echo readonly';
    const flags = ['-u', 'joe', '-w', '/data', '-e', 'A=1', '--hostname', 'h', '--read-only'];
    const text = await box.ok(['run', '--rm', ...flags, 'box', ...sh(script)]);
    assert.equal(text, '1000\n/data\n1 yes\nh\nreadonly\n');
  });

  test('an empty host name is none, and not that of the machine', async () => {
    const id = (await box.ok(['create', '--hostname', '', 'box', 'hostname'])).trim();
    assert.equal(await box.ok(['start', '-a', id]), `${id.slice(0, 12)}\n`);
    assert.equal(
      await box.ok(['inspect', '-f', '{{.Config.Hostname}}', id]),
      `${id.slice(0, 12)}\n`,
    );
  });

  test('input reaches the process with -i, and only then', async () => {
    const stdin = 'hello\n';
    assert.equal(await box.ok('run --rm -i box cat', { stdin }), stdin);
    assert.equal(await box.ok('run --rm box cat', { stdin }), '');
  });

  test('-v shows a directory of this machine, created where it is missing', async () => {
    const directory = join(box.kit.directory, 'new/shared');
    await box.ok(['run', '--rm', '-v', `${directory}:/here`, 'box', ...sh('echo hi > /here/file')]);
    assert.equal(readFileSync(join(directory, 'file'), 'utf8'), 'hi\n');
    const ran = await box.mica([
      'run',
      '--rm',
      '-v',
      `${directory}:/here:ro`,
      'box',
      'touch',
      '/here/x',
    ]);
    assert.equal(ran.code, 1);
  });

  test('-v makes the directories that are missing, also beside files that are there', async () => {
    const [file, made] = [join(box.kit.directory, 'a-file'), join(box.kit.directory, 'made')];
    writeFileSync(file, 'content\n');
    const binds = ['-v', `${file}:/file`, '-v', `${made}:/made`];
    const script = 'cat /file; echo hi > /made/x';
    assert.equal(await box.ok(['run', '--rm', ...binds, 'box', ...sh(script)]), 'content\n');
    assert.equal(readFileSync(join(made, 'x'), 'utf8'), 'hi\n');
  });

  for (const mode of ['ro,rw', 'ro,ro', 'z,Z', 'rshared,private', 'cached,delegated'])
    test(`-v with ${mode}, of which one can hold only, is refused`, async () => {
      const { code, stderr } = await box.mica(`create -v /tmp:/t:${mode} box`);
      assert.equal(code, 2);
      assert.match(stderr, /give one of them/);
    });

  test('a container that was created is started, listed and logged, and keeps what it wrote', async () => {
    await box.clear();
    const id = (
      await box.ok([
        'create',
        '--name',
        'twice',
        'box',
        ...sh('echo run; echo x >> /log; wc -l < /log'),
      ])
    ).trim();
    assert.match(id, /^[0-9a-f]{64}$/);
    assert.match(await box.ok('ps -a'), /twice$/m);
    assert.equal(await box.ok('ps -q'), '');
    assert.equal(await box.ok('start -a twice'), 'run\n1\n');
    assert.equal(await box.ok(`start -a ${id.slice(0, 6)}`), 'run\n2\n');
    assert.equal(await box.ok('logs twice'), 'run\n1\nrun\n2\n');
    assert.equal(await box.ok('logs -n 1 twice'), '2\n');
    assert.equal(await box.ok('logs --tail=-1 twice'), 'run\n1\nrun\n2\n');
    assert.match(await box.ok('ps -a'), /Exited \(0\) .* ago/);
    assert.deepEqual(mountsBelow(join(box.kit.root, 'containers')), []);
    assert.equal(await box.ok('rm twice'), 'twice\n');
    assert.deepEqual(left(), []);
  });

  test('two containers of an image do not see what the other writes', async () => {
    await box.ok(['run', '--name', 'first', 'box', ...sh('echo a > /data/one; rm /data/two')]);
    const text = await box.ok([
      'run',
      '--rm',
      'box',
      'cat',
      '/data/one',
      '/data/two',
      '/data/three',
    ]);
    assert.equal(text, 'onetwothree');
    await box.ok('rm first');
  });

  test('what runs is not removed, nor its image, without force; -d --rm goes by itself', async () => {
    await box.ok('run -d --rm --name long box sleep 1000');
    assert.equal(await box.ok(['ps', '--format', '{{.Names}} {{.State}}']), 'long running\n');
    assert.equal((await box.mica('rm long')).code, 6);
    assert.equal((await box.mica('rmi box')).code, 0);
    const last = await box.mica(`rmi ${box.kit.registry}/box`);
    assert.equal(last.code, 5);
    assert.match(last.stderr, /container long \([0-9a-f]{12}\) uses it; `mica rm long` first/);
    const id = (await box.ok('images -q --no-trunc')).trim();
    const byId = await box.mica(['rmi', '-f', id]);
    assert.equal(byId.code, 5);
    assert.match(byId.stderr, /not even with --force: container long .* is running/);
    assert.equal(
      await box.ok(`rmi -f ${box.kit.registry}/box`),
      `Untagged: ${box.kit.registry}/box:latest\n`,
    );
    assert.equal((await box.mica(['rmi', '-f', id.slice(0, 19)])).code, 5);
    await box.ok(['tag', id, `${box.kit.registry}/box`]);
    await box.ok(`tag ${box.kit.registry}/box box`);
    assert.equal((await box.mica(`start long`)).code, 0);
    await box.ok('rm -f long');
    assert.deepEqual(left(), []);
    await box.ok('run -d --rm box true');
    for (let tries = 0; left().length > 0 && tries < 2000; tries++) await setTimeout(25);
    assert.deepEqual(left(), []);
  });

  test('df counts what a container has written as its own, and every byte once', async () => {
    await box.clear();
    await box.ok(['run', '--name', 'writer', 'box', ...sh('head -c 3000000 /dev/zero > /big')]);
    await box.ok('create --name idle box');
    interface Part {
      readonly bytes: number;
    }
    const usage = JSON.parse(await box.ok('df --json')) as Record<
      'blobs' | 'layers' | 'partials',
      Part[]
    > & { total: number; metadata: number; containers: (Part & { name: string })[] };
    const [idle, writer] = usage.containers.toSorted((a, b) => a.bytes - b.bytes);
    assert.deepEqual([idle?.name, writer?.name], ['idle', 'writer']);
    assert.ok(writer!.bytes >= 3_000_000 && idle!.bytes < 1_000_000, JSON.stringify(usage));
    const parts = [...usage.blobs, ...usage.layers, ...usage.partials, ...usage.containers];
    assert.equal(
      parts.reduce((sum, { bytes }) => sum + bytes, usage.metadata),
      usage.total,
    );
    assert.match(await box.ok('df'), /3(?:\.\d+)?MB +container writer\n/);
    await box.ok('rm writer idle');
    assert.deepEqual(JSON.parse(await box.ok('df --json')).containers, []);
  });

  test('a container that another driver cannot take over is named, with the way out', async () => {
    await box.clear();
    await box.ok('create --name keeper box');
    const { code, stdout, stderr } = await box.mica('migrate --driver vfs --dry-run');
    assert.equal(code, 0, stderr);
    assert.match(stdout, /vfs cannot take over what containers wrote with overlay2 \(keeper\)/);
    assert.match(stdout, /`mica rm keeper`/);
    assert.doesNotMatch(stdout, /container-[0-9a-f]/);
    await box.ok('rm keeper');
  });

  test('names are unique, and chosen when none is given', async () => {
    await box.ok('create --name same box');
    assert.equal((await box.mica('create --name same box')).code, 4);
    await box.ok('create box');
    const names = (await box.ok(['ps', '-a', '--format', '{{.Names}}'])).trim().split('\n');
    assert.match(
      names.find((name) => name !== 'same')!,
      /^[a-z]+_[a-z]+$/,
    );
    await box.clear();
  });

  test('inspect tells state, configuration and mounts in the words of docker', async () => {
    await box.ok('run --name seen -e A=1 -v /tmp:/t:ro -m 64m box true');
    const format =
      '{{.State.Status}} {{.State.ExitCode}} {{.Name}} {{.Config.Env}} {{json .HostConfig.Binds}} {{.HostConfig.Memory}} {{(index .Mounts 0).RW}}';
    const text = await box.ok(['inspect', '-f', format, 'seen']);
    assert.equal(
      text,
      'exited 0 /seen [PATH=/bin FROM_IMAGE=yes A=1] ["/tmp:/t:ro"] 67108864 false\n',
    );
    assert.equal(JSON.parse(await box.ok('inspect box'))[0].Os, 'linux');
    await box.clear();
  });
});

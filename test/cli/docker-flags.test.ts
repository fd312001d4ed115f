import assert from 'node:assert/strict';
import { readlinkSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { needs } from '../../src/testing/need.ts';
import { type ContainerKit, openContainerKit, skip } from './container-kit.ts';

describe('flags of run', { skip }, () => {
  let box: ContainerKit & AsyncDisposable;
  before(async () => {
    box = await openContainerKit();
  });
  after(() => box[Symbol.asyncDispose]());

  const run = (...words: string[]): Promise<string> => box.ok(['run', '--rm', ...words]);
  const sh = (...words: string[]): Promise<string> =>
    run(...words.slice(0, -1), 'box', 'sh', '-c', words.at(-1)!);

  test(
    'a device is there, may be used as was asked, and no other way',
    { skip: needs('loop') },
    async () => {
      const read = 'true < /dev/it && echo read; true > /dev/it || echo not written';
      assert.equal(await sh('--device', '/dev/null:/dev/it', read), 'read\n');
      assert.equal(
        await sh('--device', '/dev/loop-control:/dev/it:r', read),
        'read\nnot written\n',
      );
      const { code, stderr } = await box.mica('run --rm --device /dev/not-there box true');
      assert.deepEqual([code, stderr], [125, 'mica: device /dev/not-there does not exist\n']);
    },
  );

  test('namespaces of the machine are those of the machine', async () => {
    const ipc = readlinkSync('/proc/self/ns/ipc');
    assert.equal(await run('--ipc', 'host', 'box', 'readlink', '/proc/self/ns/ipc'), `${ipc}\n`);
    assert.notEqual(await run('--ipc=private', 'box', 'readlink', '/proc/self/ns/ipc'), `${ipc}\n`);
    assert.equal(await run('--uts=host', 'box', 'hostname'), `${hostname()}\n`);
    assert.equal(await sh('--ipc=none', '[ -e /dev/shm ] || echo none'), 'none\n');
  });

  test('the resolver is what was asked for', async () => {
    const flags = '--dns 192.0.2.1 --dns-search a.test --dns-search b.test --dns-opt ndots:3';
    assert.equal(
      await run(...flags.split(' '), 'box', 'cat', '/etc/resolv.conf'),
      'nameserver 192.0.2.1\nsearch a.test b.test\noptions ndots:3\n',
    );
  });

  test('a seccomp profile is kept with the container, and holds', async () => {
    const file = join(box.kit.directory, 'profile.json');
    const denied = { names: ['mkdir', 'mkdirat'], action: 'SCMP_ACT_ERRNO', errnoRet: 99 };
    const includes = { arches: ['amd64', 'arm64'], minKernel: '3.0' };
    const syscalls = [{ ...denied, includes }];
    writeFileSync(file, JSON.stringify({ defaultAction: 'SCMP_ACT_ALLOW', syscalls }));
    await box.ok(`create --name kept --security-opt seccomp=${file} box mkdir /x`);
    writeFileSync(file, '{');
    assert.match((await box.mica('start -a kept')).stderr, /Cannot assign|not available/);
    const { code, stderr } = await box.mica(`run --security-opt seccomp=${file} box true`);
    assert.equal(code, 125);
    assert.match(stderr, /^mica: seccomp profile .*profile.json is not JSON/);
    await box.clear();
  });

  test(
    'limits of disks and the score of the killer reach the kernel',
    { skip: needs('loop') },
    async () => {
      const flags = ['--oom-score-adj', '123', '--device-read-bps', '/dev/loop0:1mb'];
      assert.equal(await run(...flags, 'box', 'cat', '/proc/self/oom_score_adj'), '123\n');
      const { code, stderr } = await box.mica('run --rm --device-read-iops /dev/null:5 box true');
      assert.equal(code, 125);
      assert.match(stderr, /\/dev\/null: it is no block device/);
    },
  );

  test('what docker takes for no limit is none', async () => {
    const zero =
      '-m --memory-reservation --memory-swap --cpus -c --cpu-period --cpu-quota --pids-limit --blkio-weight';
    const flags = [...zero.split(' ').flatMap((flag) => [flag, '0']), '--memory-swappiness', '-1'];
    await run(...flags, '--oom-kill-disable=false', '--cpuset-cpus', '', 'box', 'true');
    assert.match(
      (await box.mica('create --cpus -1 box')).stderr,
      /--cpus -1 is no number above zero/,
    );
    await box.clear();
  });

  test('only what was attached is shown', async () => {
    const words = ['box', 'sh', '-c', 'echo out; echo err >&2; cat'];
    const { stdout, stderr } = await box.mica(['run', '--rm', '-a', 'stderr', ...words]);
    assert.deepEqual([stdout, stderr], ['', 'err\n']);
    const both = ['run', '-i', '-a=stdin', '-a=stdout', ...words];
    assert.equal(await box.ok(both, { stdin: 'in' }), 'out\nin');
    await box.clear();
  });

  test('ports that are exposed and a health check that is not are in what is committed', async () => {
    await box.ok('create --name web --expose 80 --expose 5000-5001/udp --no-healthcheck box');
    const ports = '{{json .Config.ExposedPorts}}';
    const expected = '{"5000/udp":{},"5001/udp":{},"80/tcp":{}}\n';
    assert.equal(await box.ok(['inspect', '-f', ports, 'web']), expected);
    await box.ok('commit web exposed');
    assert.equal(await box.ok(['inspect', '-f', ports, 'exposed']), expected);
    assert.equal(
      await box.ok(['inspect', '-f', '{{.Config.Healthcheck.Test}}', 'exposed']),
      '[NONE]\n',
    );
    await box.ok('rm web');
    await box.ok('rmi exposed');
  });

  test('inspect -s has sizes, and nothing else has', async () => {
    await box.ok(['run', '--name', 'big', 'box', 'sh', '-c', 'echo 12345 > /file']);
    const sizes = '{{.SizeRw}} {{gt .SizeRootFs .SizeRw}}';
    assert.match(await box.ok(['inspect', '-s', '-f', sizes, 'big']), /^[1-9]\d* true\n$/);
    assert.equal((await box.mica(['inspect', '-f', sizes, 'big'])).code, 2);
    await box.clear();
  });

  test('info has the fields of docker', async () => {
    await box.ok('create --name one box');
    const fields =
      '{{.Driver}} {{.Containers}} {{.ContainersStopped}} {{.OSType}} {{.DockerRootDir}}';
    assert.equal(await box.ok(['info', '-f', fields]), `overlay2 1 1 linux ${box.kit.root}\n`);
    await box.clear();
  });

  test(
    'with --init the first process buries what others leave, and leaves no trace',
    { skip: needs('catatonit') },
    async () => {
      const script =
        'cat /proc/1/cmdline | head -c 17; (sleep 0.01 &); sleep 0.1; echo; ls /proc | grep -c "^[0-9]"';
      await box.ok(['run', '--init', '--name', 'init', 'box', 'sh', '-c', script]);
      assert.match(await box.ok('logs init'), /^\/sbin\/docker-init\n/);
      assert.equal(await box.ok('diff init'), '');
      await box.clear();
    },
  );
});

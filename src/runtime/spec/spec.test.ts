import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ContainerDefaults } from '../../oci/config.ts';
import { needs } from '../../testing/need.ts';
import { capabilityNames } from './capabilities.ts';
import { defaultHostname, writeEtcFiles } from './etc-files.ts';
import type { HostFacts } from './host.ts';
import { mountsOf } from './mounts.ts';
import type { Spec } from './oci-spec.ts';
import type { ContainerOptions } from './options.ts';
import { resourcesOf } from './resources.ts';
import { formatSpec, specOf } from './spec.ts';

const skip = needs('linux');
const ALL_IDS = [{ first: 0, count: 2 ** 32 - 1 }];
const HOST: HostFacts = {
  cgroups: 'v2',
  hybrid: false,
  userNamespace: false,
  swapLimit: true,
  uids: ALL_IDS,
  gids: ALL_IDS,
};
const ROOTLESS: HostFacts = {
  cgroups: 'none',
  hybrid: false,
  userNamespace: true,
  swapLimit: false,
  uids: [{ first: 0, count: 65536 }],
  gids: [{ first: 0, count: 1 }],
};
const ID = '0123456789abcdef'.repeat(4);

async function withSpec(
  image: ContainerDefaults,
  options: ContainerOptions,
  check: (spec: Spec, root: string) => void,
  host: HostFacts = HOST,
): Promise<void> {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'spec-'));
  mkdirSync(join(dir.path, 'etc'));
  writeFileSync(join(dir.path, 'etc/passwd'), 'joe:x:1000:1000::/home/joe:/bin/sh\n');
  const input = { id: ID, rootfs: dir.path, files: {}, host, hostname: 'box' };
  check(specOf({ ...input, image, options: { command: ['true'], ...options } }), dir.path);
}

const IMAGE: ContainerDefaults = { Entrypoint: ['/entry', 'a'], Cmd: ['b', 'c'] };
for (const [what, options, args] of [
  ['nothing', { command: [] }, ['/entry', 'a', 'b', 'c']],
  ['a command', { command: ['x'] }, ['/entry', 'a', 'x']],
  ['an entry point', { entrypoint: ['/new'], command: [] }, ['/new']],
  ['both', { entrypoint: ['/new'], command: ['x'] }, ['/new', 'x']],
  ['no entry point', { entrypoint: [''], command: ['x'] }, ['x']],
] as const)
  test(`asked for ${what}, it runs ${args.join(' ')}`, { skip }, async () => {
    await withSpec(IMAGE, options, ({ process }) => assert.deepEqual(process.args, args));
  });

test('without any command there is nothing to run', { skip }, async () => {
  const nothing = { entrypoint: [''], command: [] };
  await assert.rejects(
    withSpec(IMAGE, nothing, () => undefined),
    { code: 'INVALID_ARGUMENT' },
  );
});

const TOO_LONG = { name: 'StartError', code: 'INVALID_ARGUMENT', exitCode: 126 };

test('what execve would refuse is refused before, and nothing else', { skip }, async () => {
  const ofPages = (count: number): string => 'x'.repeat(count * 4096);
  const entrypoint = ['/bin/true'];
  const run = (options: ContainerOptions): Promise<void> =>
    withSpec({}, { entrypoint, ...options }, ({ process }) => {
      // The kernel's own word, of what is no longer than it takes.
      execFileSync(process.args[0]!, process.args.slice(1), { env: variables(process.env) });
    });
  const stack = Number(execFileSync('sh', ['-c', 'ulimit -s'], { encoding: 'utf8' })) * 1024;
  const many = Array.from({ length: 30 }, () => ofPages(16));
  await run({ command: [ofPages(31)] });
  if (stack === 8 << 20) {
    await run({ command: [...many, ofPages(31)] });
    const more = [...many, ofPages(31), ofPages(31)];
    await assert.rejects(run({ command: more }), TOO_LONG);
    await assert.rejects(run({ env: more.map((text, at) => `V${at}=${text}`) }), TOO_LONG);
  }
  const ulimits = [{ name: 'stack', soft: 1 << 20, hard: 1 << 20 }];
  await assert.rejects(run({ command: many, ulimits }), TOO_LONG);
  await assert.rejects(run({ command: [ofPages(1 << 9)] }), TOO_LONG);
});

const variables = (env: readonly string[]): Record<string, string> =>
  Object.fromEntries(env.map((entry) => entry.split(/=(.*)/s).slice(0, 2) as [string, string]));

test(
  'the environment is that of docker, then of the image, then what was asked for',
  { skip },
  async () => {
    await withSpec(
      { Env: ['PATH=/opt/bin', 'A=image', 'GONE=1', 'EMPTY='] },
      { env: ['A=asked', 'GONE', 'B=1=2'], tty: true, user: 'joe' },
      ({ process: { env } }) =>
        assert.deepEqual(env, [
          'PATH=/opt/bin',
          'HOSTNAME=box',
          'TERM=xterm',
          'A=asked',
          'EMPTY=',
          'B=1=2',
          'HOME=/home/joe',
        ]),
    );
    await withSpec({}, {}, ({ process: { env } }) =>
      assert.deepEqual(env, [
        'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
        'HOSTNAME=box',
        'HOME=/',
      ]),
    );
  },
);

test(
  'the working directory is made, through links of the image, never outside',
  { skip },
  async () => {
    await withSpec({ WorkingDir: 'a/../srv/app' }, {}, ({ process }, root) => {
      assert.equal(process.cwd, '/srv/app');
      assert.equal(statSync(join(root, 'srv/app')).mode & 0o777, 0o755);
    });
    await using dir = await mkdtempDisposable(join(tmpdir(), 'spec-'));
    const rootfs = join(dir.path, 'root');
    mkdirSync(join(rootfs, 'data'), { recursive: true });
    symlinkSync('/data', join(rootfs, 'in'));
    symlinkSync('../..', join(rootfs, 'up'));
    symlinkSync('/nowhere', join(rootfs, 'dangling'));
    writeFileSync(join(rootfs, 'file'), '');
    const make = (workdir: string): Spec =>
      specOf({
        id: ID,
        rootfs,
        files: {},
        host: HOST,
        hostname: 'box',
        image: {},
        options: { command: ['true'], workdir },
      });
    make('/in/x');
    assert.ok(existsSync(join(rootfs, 'data/x')));
    make('/up/y');
    assert.ok(existsSync(join(rootfs, 'y')) && !existsSync(join(dir.path, 'y')));
    for (const wrong of ['/dangling/z', '/file/z', '/file'])
      assert.throws(() => make(wrong), { code: 'FAILED_PRECONDITION' }, wrong);
  },
);

const DEFAULT_CAPABILITIES =
  'CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE NET_RAW SYS_CHROOT MKNOD AUDIT_WRITE SETFCAP';
for (const [options, expected] of [
  [{}, DEFAULT_CAPABILITIES],
  [{ capDrop: ['all'] }, ''],
  [{ capDrop: ['ALL'], capAdd: ['chown', 'CAP_SYS_ADMIN'] }, 'CHOWN SYS_ADMIN'],
  [
    { capDrop: ['KILL', 'cap_mknod'] },
    DEFAULT_CAPABILITIES.replace('KILL ', '').replace('MKNOD ', ''),
  ],
  [{ capDrop: ['KILL'], capAdd: ['KILL'] }, DEFAULT_CAPABILITIES],
] as const)
  test(`capabilities of ${JSON.stringify(options)}`, { skip: needs('root') }, () => {
    const names = capabilityNames(options).map((name) => name.replace('CAP_', ''));
    assert.equal(names.join(' '), expected);
  });

test(
  'ALL gives way to what is dropped, and unknown capabilities are refused',
  { skip: needs('root') },
  () => {
    const names = capabilityNames({ capAdd: ['ALL'], capDrop: ['SYS_ADMIN'] });
    assert.ok(names.includes('CAP_BPF') && !names.includes('CAP_SYS_ADMIN'));
    assert.throws(() => capabilityNames({ capAdd: ['FLY'] }), { code: 'INVALID_ARGUMENT' });
  },
);

const destinations = (options: ContainerOptions, host = HOST): string[] =>
  mountsOf(options, { '/etc/hosts': '/etc/hosts' }, host).map(({ destination }) => destination);

test('mounts that were asked for come last, outer ones first, in place of defaults', () => {
  const bind = (target: string): { source: string; target: string } => ({ source: '/', target });
  const all = destinations({ binds: [bind('/a/b/'), bind('/etc')], tmpfs: [{ target: '/a' }] });
  assert.deepEqual(all.slice(-3), ['/etc', '/a', '/a/b']);
  assert.ok(!all.includes('/etc/hosts'));
  assert.deepEqual(
    destinations({ tmpfs: [{ target: '/dev' }] }).filter((path) => path.startsWith('/dev')),
    ['/dev'],
  );
});

for (const [what, options, code] of [
  ['a missing source', { binds: [{ source: '/no/such', target: '/x' }] }, 'NOT_FOUND'],
  ['a relative source', { binds: [{ source: 'x', target: '/x' }] }, 'INVALID_ARGUMENT'],
  ['a relative target', { binds: [{ source: '/', target: 'x' }] }, 'INVALID_ARGUMENT'],
  ['the root as target', { binds: [{ source: '/', target: '/x/..' }] }, 'INVALID_ARGUMENT'],
  [
    'two on one target',
    { binds: [{ source: '/', target: '/x' }], tmpfs: [{ target: '/x/' }] },
    'INVALID_ARGUMENT',
  ],
  [
    'an option that is none',
    { tmpfs: [{ target: '/x', options: ['size=1,dev'] }] },
    'INVALID_ARGUMENT',
  ],
] as const)
  test(`a mount with ${what} is refused`, () => {
    assert.throws(() => destinations(options), { code });
  });

test(
  'without root there are no groups, no foreign ids and no sysfs of the machine',
  { skip },
  async () => {
    await withSpec(
      {},
      { network: 'host' },
      ({ linux, mounts }) => {
        assert.equal(linux.cgroupsPath, undefined);
        assert.equal(linux.resources, undefined);
        assert.ok(!mounts.some(({ type }) => type === 'cgroup' || type === 'sysfs'));
        assert.ok(!JSON.stringify(mounts).includes('gid=5'));
      },
      ROOTLESS,
    );
    for (const options of [{ user: '70000' }, { user: '0:9' }, { resources: { memory: 2 ** 30 } }])
      await assert.rejects(
        withSpec({}, options, () => undefined, ROOTLESS),
        {
          code: 'FAILED_PRECONDITION',
        },
      );
  },
);

test('limits become those of control groups', () => {
  const resources = resourcesOf(
    { memory: 2 ** 26, cpus: 1.5, cpuShares: 7, pidsLimit: 9 },
    [],
    HOST,
  );
  assert.deepEqual(resources, {
    devices: [],
    memory: { limit: 2 ** 26, swap: 2 ** 27 },
    cpu: { shares: 7, quota: 150_000, period: 100_000 },
    pids: { limit: 9 },
  });
  const unlimited = resourcesOf({ memory: 2 ** 26, memorySwap: -1, pidsLimit: -1 }, [], HOST);
  assert.deepEqual(unlimited, { devices: [], memory: { limit: 2 ** 26, swap: -1 } });
});

for (const limits of [
  { memory: 1024 },
  { memorySwap: 2 ** 30 },
  { memory: 2 ** 30, memorySwap: 2 ** 29 },
  { memory: 2 ** 26, memoryReservation: 2 ** 27 },
  { cpus: 1, cpuQuota: 1000 },
  { cpus: 0 },
])
  test(`limits ${JSON.stringify(limits)} are refused`, () => {
    assert.throws(() => resourcesOf(limits, [], HOST), { code: 'INVALID_ARGUMENT' });
  });

test('a limit that no control group here can keep is refused, and no other', () => {
  const host = { ...HOST, controllers: new Set(['memory', 'pids']) };
  for (const limits of [{ cpus: 1 }, { cpuShares: 7 }, { cpusetCpus: '0' }, { blkioWeight: 99 }])
    assert.throws(() => resourcesOf(limits, [], host), { code: 'FAILED_PRECONDITION' });
  assert.notEqual(resourcesOf({ memory: 2 ** 26, pidsLimit: 5 }, [], host), undefined);
  const none = { ...HOST, controllers: new Set<string>() };
  assert.deepEqual(resourcesOf({ pidsLimit: 0, oomScoreAdj: 5 }, [], none), { devices: [] });
});

test(
  'a limit without end is the largest number of 64 bits, digit for digit',
  { skip },
  async () => {
    const ulimits = [{ name: 'nofile', soft: 1024, hard: -1 }];
    await withSpec({}, { ulimits }, (spec) =>
      assert.match(formatSpec(spec), /"RLIMIT_NOFILE","soft":1024,"hard":18446744073709551615}/),
    );
    for (const wrong of [
      { name: 'nofile', soft: 5, hard: 4 },
      { name: 'x', soft: 1, hard: 1 },
    ])
      await assert.rejects(
        withSpec({}, { ulimits: [wrong] }, () => undefined),
        {
          code: 'INVALID_ARGUMENT',
        },
      );
  },
);

test('labels of an image give no orders to a runtime', { skip }, async () => {
  const image = {
    Labels: { 'run.oci.hooks.stdout': '/etc/passwd', 'org.systemd.property.X': 'y' },
  };
  await withSpec(image, {}, (spec) => {
    assert.doesNotMatch(formatSpec(spec), /run\.oci|systemd|annotations/);
  });
});

test('the files of /etc are those of the container', { skip }, async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'etc-'));
  const read = (options: ContainerOptions): Record<string, string> =>
    Object.fromEntries(
      Object.entries(writeEtcFiles(dir.path, 'box', options)).map(([name, path]) => [
        name,
        readFileSync(path, 'utf8'),
      ]),
    );
  const own = read({ hosts: ['db:10.0.0.1', 'six:fe80::1'], dns: ['1.2.3.4'] });
  assert.match(
    own['/etc/hosts']!,
    /^127\.0\.0\.1\tlocalhost\n[^]*\n127\.0\.1\.1\tbox\n10\.0\.0\.1\tdb\nfe80::1\tsix\n$/,
  );
  assert.equal(own['/etc/hostname'], 'box\n');
  assert.match(own['/etc/resolv.conf']!, /^nameserver 1\.2\.3\.4\n/);
  assert.equal(
    read({ network: 'host' })['/etc/hosts']!.trim(),
    readFileSync('/etc/hosts', 'utf8').trim(),
  );
  for (const wrong of [
    { hosts: ['db'] },
    { hosts: ['a:1.2.3.4\nb'] },
    { dns: ['1.1.1.1\nsearch x'] },
  ])
    assert.throws(() => read(wrong), { code: 'INVALID_ARGUMENT' });
  assert.equal(defaultHostname(ID, 'none'), '0123456789ab');
});

test('without control groups a limit is refused, and what is none is not', () => {
  assert.throws(() => resourcesOf({ pidsLimit: 1 }, [], ROOTLESS), { code: 'FAILED_PRECONDITION' });
  const none = { pidsLimit: -1, oomKillDisable: false, oomScoreAdj: 5 };
  assert.equal(resourcesOf(none, [], ROOTLESS), undefined);
});

test('what control groups v2 cannot keep is refused there, and kept by v1', () => {
  for (const limits of [{ oomKillDisable: true }, { memorySwappiness: 0 }]) {
    assert.throws(() => resourcesOf(limits, [], HOST), { code: 'FAILED_PRECONDITION' });
    assert.ok(resourcesOf(limits, [], { ...HOST, cgroups: 'v1' })?.memory);
  }
  assert.equal(resourcesOf({ oomKillDisable: false }, [], HOST)?.memory, undefined);
  assert.throws(() => resourcesOf({ blkioWeight: 5 }, [], HOST), { code: 'INVALID_ARGUMENT' });
});

test('devices are nodes for root, and mounted in a user namespace', { skip }, async () => {
  const devices = [{ source: '/dev/null', target: '/dev/it', access: 'r' }];
  await withSpec({}, { devices }, ({ linux, mounts }) => {
    assert.deepEqual(
      linux.devices.map(({ path, type, major, minor }) => [path, type, major, minor]),
      [['/dev/it', 'c', 1, 3]],
    );
    const rule = { allow: true, type: 'c', access: 'r', major: 1, minor: 3 };
    assert.deepEqual(linux.resources?.devices.at(-1), rule);
    assert.ok(!mounts.some(({ destination }) => destination === '/dev/it'));
  });
  await withSpec(
    {},
    { devices },
    ({ linux, mounts }) => {
      assert.deepEqual(linux.devices, []);
      assert.equal(
        mounts.find(({ destination }) => destination === '/dev/it')?.source,
        '/dev/null',
      );
    },
    ROOTLESS,
  );
});

test(
  'of labels of the image nothing becomes an annotation, of what the user says all',
  { skip },
  async () => {
    const annotations = { 'run.oci.keep_original_groups': '1' };
    await withSpec({ Labels: { a: 'b' } }, { annotations }, (spec) =>
      assert.deepEqual(spec.annotations, annotations),
    );
  },
);

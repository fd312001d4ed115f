import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { makeContainer } from '../testing/container.ts';
import { needs } from '../testing/need.ts';
import type { ContainerOptions } from './spec/options.ts';

/** What `grep Cap /proc/self/status` shows in a container of Docker. */
const DOCKER = '00000000a80425fb';
const NONE = '0'.repeat(16);

interface Case {
  readonly what: string;
  readonly script: string;
  readonly options?: ContainerOptions;
  readonly expected: string;
}

const status = (field: string): string => `grep ^${field}: /proc/self/status | cut -f2`;

const CASES: readonly Case[] = [
  { what: "root has Docker's capabilities", script: status('CapEff'), expected: DOCKER },
  { what: 'nothing is inheritable', script: status('CapInh'), expected: NONE },
  { what: 'nothing is ambient', script: status('CapAmb'), expected: NONE },
  {
    what: 'another user has none',
    script: status('CapEff'),
    options: { user: '1000' },
    expected: NONE,
  },
  {
    what: "another user's programs can gain Docker's at most",
    script: status('CapBnd'),
    options: { user: '1000' },
    expected: DOCKER,
  },
  { what: 'a filter is in place', script: status('Seccomp'), expected: '2' },
  {
    what: 'privileged, or asked for, there is no filter',
    script: status('Seccomp'),
    options: { seccomp: 'unconfined' },
    expected: '0',
  },
  {
    what: 'no new privileges',
    script: status('NoNewPrivs'),
    options: { noNewPrivileges: true },
    expected: '1',
  },
  {
    what: 'nothing can be mounted',
    script: 'mount -t tmpfs none /bin 2>&1 | grep -o "[Pp]ermission denied\\|not permitted"',
    expected: 'permission denied',
  },
  {
    what: 'no user namespace can be made',
    script: 'unshare -U true 2>&1 | grep -o "[Pp]ermission denied\\|not permitted"',
    expected: 'not permitted',
  },
  {
    what: 'with its capability the filter lets mounts through',
    script: 'mount -t tmpfs none /bin && grep -c " /bin tmpfs" /proc/mounts',
    options: { capAdd: ['SYS_ADMIN'] },
    expected: '1',
  },
  { what: 'memory of the machine shows nothing', script: 'cat /proc/kcore | wc -c', expected: '0' },
  { what: 'its firmware shows nothing', script: 'ls /sys/firmware | wc -l', expected: '0' },
  {
    what: 'settings of the kernel cannot be changed',
    script: '(echo 1 > /proc/sys/kernel/panic) 2>&1 | grep -o "Read-only file system"',
    expected: 'Read-only file system',
  },
  {
    what: 'control groups cannot be changed',
    script: '(mkdir /sys/fs/cgroup/memory/x || mkdir /sys/fs/cgroup/x) 2>&1 | grep -c "Read-only"',
    expected: '1',
  },
  {
    what: 'a device can be made, and not opened',
    script: 'mknod /disk b 254 0; cat /disk 2>&1 | grep -o "not permitted"',
    expected: 'not permitted',
  },
  {
    what: 'a root that cannot be written',
    script: 'touch /x 2>&1 | grep -o "Read-only file system"; touch /tmp/x && echo tmp',
    options: { readonly: true, tmpfs: [{ target: '/tmp', options: ['size=64k'] }] },
    expected: 'Read-only file system\ntmp',
  },
  {
    what: 'a bind that cannot be written',
    script: 'touch /b/x 2>&1 | grep -o "Read-only file system"',
    options: { binds: [{ source: '/etc', target: '/b', readonly: true }] },
    expected: 'Read-only file system',
  },
  {
    what: 'the first process has number 1, and sees no other',
    script: 'echo /proc/[0-9]*',
    expected: '/proc/1',
  },
  {
    what: 'a number of processes is not exceeded',
    script: 'exec 2>&1; for i in 1 2 3 4 5 6 7 8 9; do sleep 1000 & done',
    options: { resources: { pidsLimit: 5 } },
    expected: "sh: can't fork: Resource temporarily unavailable",
  },
  {
    what: 'limits of processes',
    script: 'ulimit -n; ulimit -Hn',
    options: { ulimits: [{ name: 'nofile', soft: 100, hard: 200 }] },
    expected: '100\n200',
  },
  {
    what: 'privileged, it has every capability and the devices of the machine',
    script: `test -e /dev/mem -o -e /dev/vda -o -e /dev/loop-control && echo devices; ${status('Seccomp')}; (echo > /proc/sys/kernel/hostname) 2>&1 | wc -l`,
    options: { privileged: true },
    expected: 'devices\n0\n0',
  },
];

for (const runtime of ['crun', 'runc'] as const)
  describe(`with ${runtime}`, () => {
    for (const { what, script, options, expected } of CASES)
      test(what, { skip: needs('busybox', runtime) }, async () => {
        const full = script.replaceAll('| cut', '| busybox cut');
        await using box = await makeContainer({
          runtime,
          options: { command: ['sh', '-c', full], ...options },
        });
        const { stdout, stderr } = await box.run();
        assert.equal(stdout.trim(), expected, stderr);
      });
  });

import assert from 'node:assert/strict';
import { PassThrough, Readable } from 'node:stream';
import { test } from 'node:test';
import { Cli } from '../cli.ts';
import { GoCommand } from '../go-flags.ts';
import { VERBS } from '../verbs.ts';
import { declareRefused } from './refuse-flags.ts';
import { REFUSED_FLAGS } from './refused-flags.ts';
import { REFUSED_VERBS } from './refused-verbs.ts';

/** The long options of each verb of docker 28.2, by its own help; of `build` also those of buildx 0.24. */
const DOCKER: Readonly<Record<string, string>> = {
  attach: 'detach-keys no-stdin sig-proxy',
  build:
    'add-host allow annotation attest build-arg build-context builder cache-from cache-to call cgroup-parent check compress cpu-period cpu-quota cpu-shares cpuset-cpus cpuset-mems disable-content-trust file force-rm iidfile isolation label load memory memory-swap metadata-file network no-cache no-cache-filter output platform progress provenance pull push quiet rm sbom secret security-opt shm-size squash ssh tag target ulimit',
  commit: 'author change message pause',
  cp: 'archive follow-link quiet',
  create:
    'add-host annotation attach blkio-weight blkio-weight-device cap-add cap-drop cgroup-parent cgroupns cidfile cpu-count cpu-percent cpu-period cpu-quota cpu-rt-period cpu-rt-runtime cpu-shares cpus cpuset-cpus cpuset-mems device device-cgroup-rule device-read-bps device-read-iops device-write-bps device-write-iops disable-content-trust dns dns-option dns-search domainname entrypoint env env-file expose gpus group-add health-cmd health-interval health-retries health-start-interval health-start-period health-timeout hostname init interactive io-maxbandwidth io-maxiops ip ip6 ipc isolation kernel-memory label label-file link link-local-ip log-driver log-opt mac-address memory memory-reservation memory-swap memory-swappiness mount name network network-alias no-healthcheck oom-kill-disable oom-score-adj pid pids-limit platform privileged publish publish-all pull quiet read-only restart rm runtime security-opt shm-size stop-signal stop-timeout storage-opt sysctl tmpfs tty ulimit use-api-socket user userns uts volume volume-driver volumes-from workdir net net-alias dns-opt',
  diff: '',
  exec: 'detach detach-keys env env-file interactive privileged tty user workdir',
  export: 'output',
  history: 'format human no-trunc platform quiet',
  images: 'all digests filter format no-trunc quiet tree',
  import: 'change message platform',
  info: 'format',
  inspect: 'format size type',
  kill: 'signal',
  load: 'input platform quiet',
  login: 'password password-stdin username',
  logout: '',
  logs: 'details follow since tail timestamps until',
  pause: '',
  ps: 'all filter format last latest no-trunc quiet size',
  pull: 'all-tags disable-content-trust platform quiet',
  push: 'all-tags disable-content-trust platform quiet',
  rename: '',
  restart: 'signal timeout time',
  rm: 'force link volumes',
  rmi: 'force no-prune platform',
  run: 'add-host annotation attach blkio-weight blkio-weight-device cap-add cap-drop cgroup-parent cgroupns cidfile cpu-count cpu-percent cpu-period cpu-quota cpu-rt-period cpu-rt-runtime cpu-shares cpus cpuset-cpus cpuset-mems detach detach-keys device device-cgroup-rule device-read-bps device-read-iops device-write-bps device-write-iops disable-content-trust dns dns-option dns-search domainname entrypoint env env-file expose gpus group-add health-cmd health-interval health-retries health-start-interval health-start-period health-timeout hostname init interactive io-maxbandwidth io-maxiops ip ip6 ipc isolation kernel-memory label label-file link link-local-ip log-driver log-opt mac-address memory memory-reservation memory-swap memory-swappiness mount name network network-alias no-healthcheck oom-kill-disable oom-score-adj pid pids-limit platform privileged publish publish-all pull quiet read-only restart rm runtime security-opt shm-size sig-proxy stop-signal stop-timeout storage-opt sysctl tmpfs tty ulimit use-api-socket user userns uts volume volume-driver volumes-from workdir net net-alias dns-opt',
  save: 'output platform',
  start: 'attach checkpoint checkpoint-dir detach-keys interactive',
  stop: 'signal timeout time',
  tag: '',
  top: '',
  unpause: '',
  version: 'format',
  wait: '',
  'builder prune': 'all filter force keep-storage',
  'container prune': 'filter force',
  'image ls': 'all digests filter format no-trunc quiet tree',
  'image prune': 'all filter force',
  'system df': 'format verbose',
  'system prune': 'all filter force volumes',
};

const VERBS_OF_DOCKER =
  'attach build builder commit compose config container context cp create diff events exec export history image images import info inspect kill load login logout logs manifest network node pause plugin port ps pull push rename restart rm rmi run save search secret service stack start stats stop swarm system tag top trust unpause update version volume wait';

const cli = new Cli(
  {
    stdin: Readable.from([]),
    stdout: new PassThrough(),
    stderr: new PassThrough(),
  },
  new AbortController().signal,
);

for (const [name, options] of Object.entries(DOCKER))
  test(`every option of docker ${name} is there, or refused with a reason`, async () => {
    const verb = VERBS.find((one) => one.name === name)!;
    const command = new GoCommand(name);
    (await verb.load())(command, cli);
    declareRefused(command, verb);
    const known = new Set(
      command.options.map(({ long, negate }) => (negate ? long!.replace('--no-', '--') : long!)),
    );
    for (const { long } of command.options) known.add(long!);
    const missing = options
      .split(' ')
      .filter((option) => option !== '' && !known.has(`--${option}`));
    assert.deepEqual(missing, []);
  });

test('every verb of docker is there, or refused with a reason', () => {
  const known = new Set(VERBS.map(({ name }) => name.split(' ')[0]!));
  assert.deepEqual(
    VERBS_OF_DOCKER.split(' ').filter((verb) => !known.has(verb)),
    [],
  );
});

test('a reason is a sentence without an end, and says something', () => {
  const reasons = [
    ...Object.values(REFUSED_VERBS),
    ...Object.values(REFUSED_FLAGS).flatMap((flags) => flags.map(({ why }) => why)),
  ];
  for (const why of reasons) assert.match(why, /^.{10,200}[^.]$/s);
});

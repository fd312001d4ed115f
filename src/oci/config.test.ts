import assert from 'node:assert/strict';
import { test } from 'node:test';
import { layerHistory, MAX_CONFIG_SIZE, parseImageConfig } from './config.ts';
import { sha256 } from './digest.ts';

const rootfs = { type: 'layers', diff_ids: [sha256('a'), sha256('b')] };
const parse = (value: unknown): ReturnType<typeof parseImageConfig> =>
  parseImageConfig(Buffer.from(JSON.stringify(value)));

/** As docker 26 writes it, shortened. */
const DOCKER = {
  architecture: 'amd64',
  config: {
    Hostname: '',
    AttachStdin: false,
    ExposedPorts: { '6379/tcp': {} },
    Tty: false,
    Env: ['PATH=/usr/bin:/bin'],
    Cmd: ['redis-server'],
    Image: '',
    Volumes: { '/data': {} },
    WorkingDir: '/data',
    Entrypoint: ['docker-entrypoint.sh'],
    OnBuild: null,
    Labels: null,
    Healthcheck: { Test: ['CMD', 'true'], Interval: 30_000_000_000, Retries: 3 },
    ArgsEscaped: true,
  },
  container: '0'.repeat(64),
  container_config: { Hostname: 'x', Cmd: null },
  created: '2024-01-02T03:04:05.678901234Z',
  docker_version: '26.1.5',
  history: [
    { created: '2024-01-02T03:04:05Z', created_by: '/bin/sh -c #(nop) ADD file' },
    { created_by: '/bin/sh -c #(nop)  CMD ["redis-server"]', empty_layer: true },
    { created_by: 'RUN make', comment: 'buildkit.dockerfile.v0' },
  ],
  os: 'linux',
  rootfs,
  'moby.buildkit.buildinfo.v1': 'e30=',
};

test("docker's config is read whole, null as absent, unknown fields kept", () => {
  const parsed = parse(DOCKER);
  const { OnBuild: _, Labels: __, ...config } = DOCKER.config;
  assert.deepEqual(parsed.config, { ...config, OnBuild: undefined, Labels: undefined });
  assert.deepEqual(parsed, { ...DOCKER, config: parsed.config });
});

test('old images may leave out what the specification requires', () => {
  const { os, architecture, config, history } = parse({ rootfs });
  assert.deepEqual([os, architecture, config, history], ['linux', '', undefined, undefined]);
  assert.equal(parse({ rootfs, os: '' }).os, 'linux');
});

test('an image without layers may say so by null', () => {
  assert.deepEqual(parse({ rootfs: { type: 'layers', diff_ids: null } }).rootfs.diff_ids, []);
});

test('one string is a list of one, where docker reads it so', () => {
  const { config } = parse({ rootfs, config: { Cmd: 'sh', Entrypoint: 'x', Shell: null } });
  assert.deepEqual([config?.Cmd, config?.Entrypoint, config?.Shell], [['sh'], ['x'], undefined]);
});

test('a port whose value is null is exposed like any other', () => {
  assert.deepEqual(
    parse({ rootfs, config: { ExposedPorts: { '1/tcp': null } } }).config?.ExposedPorts,
    {
      '1/tcp': {},
    },
  );
});

const WRONG: readonly (readonly [string, unknown])[] = [
  ['no rootfs', { os: 'linux' }],
  ['another kind of rootfs', { rootfs: { type: 'layers+base', diff_ids: [] } }],
  ['diff ids that are none', { rootfs: { type: 'layers', diff_ids: {} } }],
  ['diff ids that are no digests', { rootfs: { type: 'layers', diff_ids: ['sha256:x'] } }],
  ['a list for defaults', { rootfs, config: [] }],
  ['a list in its history', { rootfs, history: [[]] }],
  ['an environment that is no list', { rootfs, config: { Env: { A: '1' } } }],
  ['labels that are not text', { rootfs, config: { Labels: { a: 1 } } }],
  ['volumes that are a list', { rootfs, config: { Volumes: ['/data'] } }],
  ['a history that is no list', { rootfs, history: {} }],
];

for (const [what, document] of WRONG)
  test(`a config with ${what} is refused`, () => {
    assert.throws(() => parse(document), { code: 'INVALID_ARGUMENT', message: /^image config: / });
  });

test('a config of more than 8 MiB is refused', () => {
  const config = { Labels: { a: 'x'.repeat(MAX_CONFIG_SIZE) } };
  assert.throws(() => parse({ rootfs, config }), { code: 'INVALID_ARGUMENT' });
});

test('history is attributed to layers when it fits them, and not at all when it does not', () => {
  const steps = layerHistory(parse(DOCKER)).map((step) => step?.created_by);
  assert.deepEqual(steps, ['/bin/sh -c #(nop) ADD file', 'RUN make']);
  const short = parse({ ...DOCKER, history: DOCKER.history.slice(0, 2) });
  assert.deepEqual(layerHistory(short), [undefined, undefined]);
  assert.deepEqual(layerHistory(parse({ rootfs })), [undefined, undefined]);
});

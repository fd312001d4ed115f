import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtempDisposable, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileCredentials, systemFiles, systemOptions } from './credentials.ts';
import type { Credential } from './options.ts';

const base64 = (text: string): string => Buffer.from(text).toString('base64');

/** What docker's `config` (or several files, docker's first) says about a registry. */
async function found(
  config: unknown,
  registry: string,
  path?: string,
  ...podman: readonly unknown[]
): Promise<Credential | undefined> {
  await using root = await mkdtempDisposable(join(tmpdir(), 'mica-credentials-'));
  const files: string[] = [];
  for (const [index, content] of [config, ...podman].entries()) {
    const file = join(root.path, `${index}.json`);
    files.push(file);
    if (content !== undefined)
      await writeFile(file, typeof content === 'string' ? content : JSON.stringify(content));
  }
  const [dockerConfig = '', ...authFiles] = files;
  return await fileCredentials({ dockerConfig, authFiles }).get(registry, path);
}

const entry = { auth: base64('user:pass:word') };
const user = { username: 'user', secret: 'pass:word' };

const CASES: readonly (readonly [string, unknown, string, Credential | undefined])[] = [
  ['no file', undefined, 'quay.io', undefined],
  ['an empty file', '', 'quay.io', undefined],
  ['nothing about registries', { HttpHeaders: {} }, 'quay.io', undefined],
  ['the host', { auths: { 'quay.io': entry } }, 'quay.io', user],
  ['another host', { auths: { 'quay.io': entry } }, 'ghcr.io', undefined],
  [
    'a host of which ours is only a part',
    { auths: { 'xquay.io': entry, 'quay.io.evil.example': entry } },
    'quay.io',
    undefined,
  ],
  ['the host with another port', { auths: { 'quay.io:5000': entry } }, 'quay.io', undefined],
  ['a URL', { auths: { 'https://quay.io/v1/': entry } }, 'quay.io', user],
  [
    'Docker Hub by its old URL',
    { auths: { 'https://index.docker.io/v1/': entry } },
    'docker.io',
    user,
  ],
  ['Docker Hub by its name', { auths: { 'docker.io': entry } }, 'docker.io', user],
  ['separate fields', { auths: { x: { username: 'user', password: 'pass:word' } } }, 'x', user],
  [
    'an identity token',
    { auths: { x: { auth: base64('user:'), identitytoken: 'it' } } },
    'x',
    { username: 'user', secret: 'it', identity: true },
  ],
  [
    'a padded entry of old docker',
    { auths: { x: { auth: base64('user:pass:word\0\0') } } },
    'x',
    user,
  ],
  ['an empty entry, as helpers leave it', { auths: { x: {} } }, 'x', undefined],
  ['a null entry', { auths: { x: null } }, 'x', undefined],
  ['no entries', { auths: null }, 'x', undefined],
  ['an entry without a colon', { auths: { x: { auth: base64('user') } } }, 'x', undefined],
];

for (const [what, config, registry, expected] of CASES)
  test(`${what} gives ${registry} ${expected ? 'a credential' : 'none'}`, async () => {
    assert.deepEqual(await found(config, registry), expected);
  });

test("podman's files are asked after docker's, and know parts of a registry", async () => {
  const team = { auth: base64('team:t') };
  const podman = { auths: { 'quay.io': entry, 'quay.io/team/sub': team } };
  assert.deepEqual(await found(undefined, 'quay.io', 'x/y', podman), user);
  assert.deepEqual(await found({}, 'quay.io', 'team/sub/image', podman), {
    username: 'team',
    secret: 't',
  });
  assert.deepEqual(await found({}, 'quay.io', 'team/subject', podman), user);
  assert.deepEqual(await found({ auths: { 'quay.io': team } }, 'quay.io', 'x', podman), {
    username: 'team',
    secret: 't',
  });
});

for (const text of [
  '{"auths": {"x": {"auth": "c2VjcmV0OnNlY3JldA=="}',
  '{"auths": [1]}',
  '[]',
  '{"auths":{"x":"c2VjcmV0"}}',
])
  test(`a damaged file (${text.slice(0, 12)}…) is an error that does not quote it`, async () => {
    await assert.rejects(found(text, 'x'), (error: Error & { readonly code?: string }) => {
      assert.doesNotMatch(error.message, /c2V/);
      return error.code === 'FAILED_PRECONDITION';
    });
  });

const helpers = new AsyncDisposableStack();
after(() => helpers.disposeAsync());

/** A directory on PATH with a helper that answers as the tests want, by the server it is asked for. */
before(async () => {
  const root = await mkdtempDisposable(join(tmpdir(), 'mica-helper-'));
  helpers.use(root);
  const helper = `#!/bin/sh
server=$(cat)
case "$1 $server" in
  'get https://index.docker.io/v1/') echo '{"ServerURL":"x","Username":"hub","Secret":"s3"}' ;;
  'get token.example') echo '{"Username":"<token>","Secret":"id"}' ;;
  'get empty.example') echo '{"Username":"","Secret":""}' ;;
  'get none.example') echo 'credentials not found in native keychain'; exit 1 ;;
  'get broken.example') echo 'SECRET is not JSON' ;;
  'get failing.example') echo 'the keyring is locked'; exit 1 ;;
  'get slow.example') exec sleep 100 ;;
  'get deaf.example') exec 0<&-; echo '{"Username":"u","Secret":"s"}' ;;
  *) exit 3 ;;
esac
`;
  await mkdir(join(root.path, 'bin'));
  await writeFile(join(root.path, 'bin', 'docker-credential-mica-test'), helper);
  await chmod(join(root.path, 'bin', 'docker-credential-mica-test'), 0o755);
  process.env['PATH'] = `${join(root.path, 'bin')}${delimiter}${process.env['PATH']}`;
});

const store = { credsStore: 'mica-test', auths: { 'none.example': entry } };

test('a credentials store is asked by the name that docker has for a registry', async () => {
  assert.deepEqual(await found(store, 'docker.io'), { username: 'hub', secret: 's3' });
  assert.deepEqual(await found(store, 'token.example'), {
    username: '',
    secret: 'id',
    identity: true,
  });
  assert.deepEqual(await found(store, 'deaf.example'), { username: 'u', secret: 's' });
});

test('what a store does not know, nobody knows', async () => {
  assert.equal(await found(store, 'none.example'), undefined);
  assert.equal(await found(store, 'empty.example'), undefined);
});

test('a helper for one registry goes before the store for all', async () => {
  const config = { credsStore: 'not-installed', credHelpers: { 'docker.io': 'mica-test' } };
  assert.deepEqual(await found(config, 'docker.io'), { username: 'hub', secret: 's3' });
  await assert.rejects(found(config, 'quay.io'), {
    code: 'FAILED_PRECONDITION',
    message: /docker-credential-not-installed is not installed/,
  });
});

test('a helper that fails is an error without its secrets', async () => {
  await assert.rejects(found(store, 'failing.example'), {
    code: 'FAILED_PRECONDITION',
    message: /keyring is locked/,
  });
  await assert.rejects(
    found(store, 'broken.example'),
    (error: Error) => !error.message.includes('SECRET'),
  );
  await assert.rejects(found({ credsStore: '../evil' }, 'x'), { code: 'FAILED_PRECONDITION' });
});

test('waiting for a helper can be aborted', async () => {
  await using root = await mkdtempDisposable(join(tmpdir(), 'mica-credentials-'));
  const dockerConfig = join(root.path, 'config.json');
  await writeFile(dockerConfig, JSON.stringify(store));
  const signal = AbortSignal.timeout(50);
  const work = fileCredentials({ dockerConfig, authFiles: [] }).get('slow.example', undefined, {
    signal,
  });
  await assert.rejects(work, (error) => error === signal.reason);
});

test('the environment says where files and proxies are', () => {
  const environment = {
    DOCKER_CONFIG: '/d',
    REGISTRY_AUTH_FILE: '/r.json',
    XDG_RUNTIME_DIR: '/run/user/1',
    XDG_CONFIG_HOME: '/c',
    https_proxy: 'http://lower',
    HTTPS_PROXY: 'http://upper',
    NO_PROXY: 'x',
  };
  assert.deepEqual(systemFiles(environment), {
    dockerConfig: join('/d', 'config.json'),
    authFiles: [
      '/r.json',
      join('/run/user/1', 'containers', 'auth.json'),
      join('/c', 'containers', 'auth.json'),
    ],
  });
  const { proxy, hosts } = systemOptions(environment);
  assert.deepEqual(proxy, { http: undefined, https: 'http://lower', no: 'x' });
  assert.ok(hosts?.directories?.includes('/etc/containerd/certs.d'));
  const named = systemOptions({ CONTAINERS_REGISTRIES_CONF: '/x.conf' });
  assert.deepEqual(named.hosts?.registriesConf, ['/x.conf']);
});

test('reading credentials changes no file', async () => {
  await using root = await mkdtempDisposable(join(tmpdir(), 'mica-credentials-'));
  const dockerConfig = join(root.path, 'config.json');
  await writeFile(dockerConfig, JSON.stringify({ auths: { x: entry } }));
  const before_ = await readFile(dockerConfig);
  await fileCredentials({ dockerConfig, authFiles: [] }).get('x');
  assert.ok((await readFile(dockerConfig)).equals(before_));
});

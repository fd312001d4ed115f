import assert from 'node:assert/strict';
import {
  chmod,
  mkdir,
  mkdtempDisposable,
  readdir,
  readFile,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { test } from 'node:test';
import { killAtEveryStep } from '../testing/crash.ts';
import { serve, type Served } from '../testing/serve.ts';
import { fileCredentials } from './credentials.ts';
import { login, logout } from './login.ts';

const USER = { username: 'user', secret: 'right' };
const AUTHORIZATION = `Basic ${Buffer.from('user:right').toString('base64')}`;

/** Wants a password, itself or at its token service. */
const registry = (kind: 'basic' | 'bearer' | 'open'): Promise<Served> =>
  serve((request, response) => {
    const { authorization } = request.headers;
    const token = `http://${request.headers.host}/token`;
    if (request.url!.startsWith('/token')) {
      response.writeHead(authorization === AUTHORIZATION ? 200 : 401).end('{"token":"t"}');
      return;
    }
    const right = { open: undefined, basic: AUTHORIZATION, bearer: 'Bearer t' }[kind];
    const offer = kind === 'basic' ? 'Basic realm="x"' : `Bearer realm="${token}",service="s"`;
    if (kind === 'open' || authorization === right) response.end('{}');
    else response.writeHead(401, { 'www-authenticate': offer }).end();
  });

interface Bench extends AsyncDisposable {
  readonly file: string;
  readonly directory: string;
  read(): Promise<Record<string, unknown>>;
}

async function bench(config?: object): Promise<Bench> {
  const root = await mkdtempDisposable(join(tmpdir(), 'mica-login-'));
  const file = join(root.path, '.docker', 'config.json');
  const directory = join(root.path, '.docker');
  if (config) {
    await mkdir(directory);
    await writeFile(file, JSON.stringify(config));
  }
  return {
    file,
    directory,
    read: async () => JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>,
    [Symbol.asyncDispose]: () => root.remove(),
  };
}

for (const kind of ['basic', 'bearer', 'open'] as const)
  test(`a login at a registry that is ${kind} is verified, then kept for its owner alone`, async () => {
    await using server = await registry(kind);
    await using at = await bench();
    const result = await login(server.host, USER, { file: at.file });
    assert.deepEqual(result, { keptBy: 'file', path: at.file });
    assert.deepEqual(await at.read(), {
      auths: { [server.host]: { auth: AUTHORIZATION.slice('Basic '.length) } },
    });
    assert.equal((await stat(at.file)).mode & 0o777, 0o600);
    assert.deepEqual(await readdir(at.directory), ['config.json']);
    const credentials = fileCredentials({ dockerConfig: at.file, authFiles: [] });
    assert.deepEqual(await credentials.get(server.host), USER);
  });

for (const kind of ['basic', 'bearer'] as const)
  test(`a wrong password at a registry that is ${kind} is UNAUTHENTICATED, and nothing is kept`, async () => {
    await using server = await registry(kind);
    await using at = await bench();
    const wrong = { username: 'user', secret: 'wr0ng' };
    await assert.rejects(
      login(server.host, wrong, { file: at.file }),
      (error: Error & { readonly code?: string }) => {
        assert.doesNotMatch(error.message, /wr0ng/);
        return error.code === 'UNAUTHENTICATED';
      },
    );
    await assert.rejects(readFile(at.file), { code: 'ENOENT' });
  });

test('a login keeps everything else in the file, and a logout too', async () => {
  await using server = await registry('basic');
  const config = {
    detachKeys: 'ctrl-e,e',
    auths: { other: { auth: 'eDp5', email: 'x@y' } },
    credHelpers: { 'gcr.io': 'gcloud' },
  };
  await using at = await bench(config);
  await login(server.host, USER, { file: at.file });
  const { auths, ...rest } = await at.read();
  assert.deepEqual(Object.keys(auths as object), ['other', server.host]);
  assert.deepEqual({ ...rest, auths: config.auths }, config);
  assert.equal(await logout(server.host, { file: at.file }), true);
  assert.deepEqual(await at.read(), config);
  assert.equal(await logout(server.host, { file: at.file }), false);
});

test('a configuration that is a symbolic link stays one', async () => {
  await using server = await registry('basic');
  await using at = await bench({});
  const link = join(at.directory, 'link.json');
  await symlink('config.json', link);
  await login(server.host, USER, { file: link });
  assert.ok('auths' in (await at.read()));
  assert.equal(await logout(server.host, { file: link }), true);
});

test('a damaged configuration is not overwritten', async () => {
  await using server = await registry('basic');
  await using at = await bench({});
  await writeFile(at.file, '{"auths": ');
  await assert.rejects(login(server.host, USER, { file: at.file }), {
    code: 'FAILED_PRECONDITION',
  });
  await assert.rejects(logout(server.host, { file: at.file }), { code: 'FAILED_PRECONDITION' });
  assert.equal(await readFile(at.file, 'utf8'), '{"auths": ');
});

test('a helper that is configured keeps the secret, the file does not', async () => {
  await using server = await registry('basic');
  await using at = await bench({ credsStore: 'mica-login-test' });
  const helper = join(at.directory, 'docker-credential-mica-login-test');
  await writeFile(helper, `#!/bin/sh\ncat > "${at.directory}/$1"\n`);
  await chmod(helper, 0o755);
  process.env['PATH'] = `${at.directory}${delimiter}${process.env['PATH']}`;
  const result = await login(server.host, USER, { file: at.file });
  assert.equal(result.keptBy, 'docker-credential-mica-login-test');
  const stored: unknown = JSON.parse(await readFile(join(at.directory, 'store'), 'utf8'));
  assert.deepEqual(stored, { ServerURL: server.host, Username: 'user', Secret: 'right' });
  assert.deepEqual(await at.read(), { credsStore: 'mica-login-test' });
  assert.equal(await logout(server.host, { file: at.file }), true);
  assert.equal(await readFile(join(at.directory, 'erase'), 'utf8'), server.host);
});

test('of several logins and logouts at once none is lost', async () => {
  await using servers = new AsyncDisposableStack();
  const hosts: string[] = [];
  for (let i = 0; i < 6; i++) hosts.push(servers.use(await registry('open')).host);
  await using at = await bench({ auths: { gone: { auth: 'eDp5' } } });
  await Promise.all([
    logout('gone', { file: at.file }),
    ...hosts.map((host) => login(host, USER, { file: at.file })),
  ]);
  const { auths } = await at.read();
  assert.deepEqual(Object.keys(auths as object).sort(), hosts.toSorted());
  assert.deepEqual(await readdir(at.directory), ['config.json']);
});

test('a login that is killed leaves the old file or the new one, and the next leaves no more than that', async () => {
  await using server = await registry('open');
  const loginUrl = new URL('./login.ts', import.meta.url).href;
  await killAtEveryStep({
    program: async (root) => {
      await mkdir(root);
      await writeFile(join(root, 'config.json'), OLD);
      return `
        const { login } = await import('${loginUrl}');
        beginCounting();
        await login('${server.host}', { username: 'user', secret: 'right' }, { file: '${root}/config.json' });
      `;
    },
    check: async (root) => {
      const file = join(root, 'config.json');
      const { auths } = JSON.parse(await readFile(file, 'utf8')) as { auths: object };
      assert.equal(Object.keys(auths)[0], 'other');
      await login(server.host, USER, { file });
      assert.deepEqual(await readdir(root), ['config.json']);
    },
  });
});

const OLD = JSON.stringify({ auths: { other: { auth: 'eDp5' } } });

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { BlobFixture } from '../testing/image-fixture.ts';
import { needs } from '../testing/need.ts';
import { Client } from '../testing/repository/client.ts';
import { pushFixture } from '../testing/repository/push-fixture.ts';
import { file, tree } from '../testing/tree.ts';
import { openTemporaryRegistry, type TemporaryRegistry } from './temporary.ts';

const token = 'a-token-for-tests';
const run = promisify(execFile);
const hostOf = ({ port }: TemporaryRegistry): string => `127.0.0.1:${port}`;

/** Pushes an image that engines accept; resolves to its manifest. */
async function pushImage(registry: TemporaryRegistry, name: string, tag: string): Promise<Buffer> {
  const client = new Client({ url: registry.url, authorization: `Bearer ${token}` });
  const fixture = new BlobFixture();
  const image = await fixture.image([tree({ 'etc/name': file('one') })]);
  await pushFixture(client, name, fixture, image, tag);
  return Buffer.from(fixture.blobs.get(image.descriptor.digest)!);
}

test(
  'skopeo pulls and pushes what we serve, digest for digest',
  { skip: needs('skopeo') },
  async () => {
    await using directory = await mkdtempDisposable(join(tmpdir(), 'mica-skopeo-'));
    await using registry = await openTemporaryRegistry({ writable: { token } });
    const pushed = await pushImage(registry, 'library/one', 'v1');
    const from = `docker://${hostOf(registry)}/library/one:v1`;
    const to = `docker://${hostOf(registry)}/other/two:v2`;
    const layout = `oci:${join(directory.path, 'layout')}:v1`;
    await run('skopeo', ['copy', '--src-tls-verify=false', from, layout]);
    const credentials = ['--dest-tls-verify=false', '--dest-creds', `me:${token}`];
    await run('skopeo', ['copy', '--preserve-digests', ...credentials, layout, to]);
    const { stdout } = await run('skopeo', ['inspect', '--raw', '--tls-verify=false', to]);
    assert.equal(stdout, pushed.toString());
    const two = `docker://${hostOf(registry)}/other/two`;
    const listed = await run('skopeo', ['list-tags', '--tls-verify=false', two]);
    assert.deepEqual(JSON.parse(listed.stdout).Tags, ['v2']);

    await run('skopeo', ['delete', '--tls-verify=false', '--creds', `me:${token}`, to]);
    await assert.rejects(run('skopeo', ['inspect', '--raw', '--tls-verify=false', to]));
  },
);

test('skopeo without the token cannot push', { skip: needs('skopeo') }, async () => {
  await using registry = await openTemporaryRegistry({ writable: { token } });
  await pushImage(registry, 'one', 'v1');
  const copy = ['copy', '--src-tls-verify=false', '--dest-tls-verify=false'];
  const [from, to] = ['one:v1', 'two:v1'].map((name) => `docker://${hostOf(registry)}/${name}`);
  await assert.rejects(run('skopeo', [...copy, from!, to!]), /unauthorized|authentication/i);
});

test('podman pulls what we serve and pushes what it built', { skip: needs('podman') }, async () => {
  await using directory = await mkdtempDisposable(join(tmpdir(), 'mica-podman-'));
  await using registry = await openTemporaryRegistry({ writable: { token } });
  await pushImage(registry, 'one', 'v1');
  const [one, two] = ['one:v1', 'two:v1'].map((name) => `${hostOf(registry)}/${name}`);
  const context = join(directory.path, 'context');
  await mkdir(context);
  await writeFile(join(context, 'Containerfile'), `FROM ${one!}\nCOPY Containerfile /\n`);
  const store = `--root ${join(directory.path, 'root')} --runroot ${join(directory.path, 'run')}`;
  const podman = (...args: string[]): Promise<{ stdout: string }> =>
    run('podman', [...store.split(' '), '--storage-driver', 'vfs', ...args]);
  await podman('pull', '--tls-verify=false', one!);
  await podman('build', '--tls-verify=false', '-t', two!, context);
  await podman('push', '--tls-verify=false', '--creds', `me:${token}`, two!);
  assert.deepEqual(await registry.backend.tags('two'), ['v1']);
  await podman('rmi', '--all', '--force');
  await podman('pull', '--tls-verify=false', two!);
});

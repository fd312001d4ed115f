import assert from 'node:assert/strict';
import { mkdir, mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { sha256 } from '../../oci/digest.ts';
import { OCI_MANIFEST } from '../../oci/media-type.ts';
import { selfSigned } from '../../testing/certificate.ts';
import { type Served, serve } from '../../testing/serve.ts';
import type { RegistryOptions } from '../options.ts';
import { openRegistry } from '../registry.ts';

const DIGEST = sha256('manifest');

const secure = (): Promise<Served> =>
  serve(
    (_, response) => {
      const length = { 'content-length': 8, 'docker-content-digest': DIGEST };
      response.writeHead(200, { 'content-type': OCI_MANIFEST, ...length }).end();
    },
    { tls: true },
  );

/** By an address of this machine that is not taken for loopback, where any certificate would do. */
async function digestFrom({ host }: Served, options: RegistryOptions): Promise<string> {
  await using registry = openRegistry({ retry: { attempts: 1 }, ...options });
  const domain = host.replace('127.0.0.1', '0.0.0.0');
  return (await registry.repository({ domain, path: 'a' }).resolve('x')).digest;
}

test('a CA in the directory of a host is trusted for it', async () => {
  await using server = await secure();
  await using root = await mkdtempDisposable(join(tmpdir(), 'mica-tls-'));
  const options = { hosts: { directories: [root.path] } };
  await assert.rejects(digestFrom(server, options), { code: 'FAILED_PRECONDITION' });
  const directory = join(root.path, server.host.replace('127.0.0.1', '0.0.0.0'));
  await mkdir(directory);
  await writeFile(join(directory, 'ca.crt'), selfSigned().cert);
  assert.equal(await digestFrom(server, options), DIGEST);
});

test("a CA that only the system's store has is trusted as well", async () => {
  await using server = await secure();
  await using root = await mkdtempDisposable(join(tmpdir(), 'mica-tls-'));
  const store = join(root.path, 'store.pem');
  await writeFile(store, selfSigned().cert);
  const { execFile } = await import('node:child_process');
  const program = `
    import { openRegistry } from ${JSON.stringify(new URL('../registry.ts', import.meta.url).href)};
    await using registry = openRegistry({ retry: { attempts: 1 } });
    const domain = ${JSON.stringify(server.host.replace('127.0.0.1', '0.0.0.0'))};
    const { digest } = await registry.repository({ domain, path: 'a' }).resolve('x');
    process.stdout.write(digest);
  `;
  // Node reads the store once per process.
  const output = await new Promise<string>((resolve, reject) => {
    const env = { ...process.env, SSL_CERT_FILE: store, SSL_CERT_DIR: root.path };
    execFile(process.execPath, ['--input-type=module', '-e', program], { env }, (error, stdout) =>
      error ? reject(error) : resolve(stdout),
    );
  });
  assert.equal(output, DIGEST);
});

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { test } from 'node:test';
import { serve } from '../../testing/serve.ts';
import { openRegistry } from '../registry.ts';
import { proxyFor } from './proxy.ts';

const options = { http: 'http://plain.proxy:3128', https: 'secure.proxy' };

const EXEMPT: readonly (readonly [no: string, url: string, exempt: boolean])[] = [
  ['', 'https://example.com', false],
  ['*', 'https://example.com', true],
  ['example.com', 'https://example.com', true],
  ['example.com', 'https://sub.example.com', true],
  ['example.com', 'https://notexample.com', false],
  ['.example.com', 'https://sub.example.com', true],
  ['.example.com', 'https://example.com', false],
  ['*.example.com', 'https://sub.example.com', true],
  ['x, EXAMPLE.com ,y', 'https://example.com', true],
  ['example.com:443', 'https://example.com', true],
  ['example.com:5000', 'https://example.com', false],
  ['example.com:5000', 'https://example.com:5000', true],
  ['192.168.0.0/16', 'https://192.168.7.1', true],
  ['192.168.0.0/16', 'https://192.169.7.1', false],
  ['192.168.0.0/99', 'https://192.168.7.1', false],
  ['10.0.0.1', 'https://10.0.0.1:5000', true],
  ['[fd00::1]', 'https://[fd00::1]:5000', true],
  ['fd00::/8', 'https://[fd12::1]', true],
  ['x', 'http://127.0.0.1:5000', true],
  ['x', 'http://localhost', true],
  ['x', 'http://[::1]:5000', true],
];

for (const [no, url, exempt] of EXEMPT)
  test(`NO_PROXY=${no} ${exempt ? 'exempts' : 'does not exempt'} ${url}`, () => {
    assert.equal(proxyFor(new URL(url), { ...options, no }) === undefined, exempt);
  });

test('the scheme of the target chooses the proxy, which is HTTP unless it says otherwise', () => {
  assert.equal(proxyFor(new URL('http://example.com'), options)?.host, 'plain.proxy:3128');
  assert.equal(proxyFor(new URL('https://example.com'), options)?.href, 'http://secure.proxy/');
  assert.throws(
    () => proxyFor(new URL('https://x.org'), { https: 'ftp://user:secret@x' }),
    (error: Error) => !error.message.includes('secret'),
  );
});

test('requests go through the proxy, with its password, and TLS is spoken with the registry behind it', async () => {
  const digest = `sha256:${'0'.repeat(64)}`;
  await using origin = await serve(
    (_, response) => {
      const type = {
        'content-type': 'application/vnd.oci.image.manifest.v1+json',
        'content-length': 2,
      };
      response.writeHead(200, { ...type, 'docker-content-digest': digest }).end();
    },
    { tls: true },
  );
  const asked: (string | undefined)[][] = [];
  const proxy = createServer();
  await using _proxy = {
    [Symbol.asyncDispose]: async () => {
      proxy.closeAllConnections();
      proxy.close();
    },
  };
  proxy.on('connect', (request, socket) => {
    asked.push([request.url, request.headers['proxy-authorization']]);
    const upstream = connect(Number(origin.host.split(':')[1]), '127.0.0.1');
    socket.write('HTTP/1.1 200 OK\r\n\r\n');
    socket.pipe(upstream).pipe(socket);
    for (const end of [socket, upstream]) end.on('error', () => undefined);
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  const { port } = proxy.address() as AddressInfo;
  await using registry = openRegistry({
    proxy: { https: `http://user:pass@127.0.0.1:${port}` },
    insecure: ['registry.example'],
    retry: { attempts: 1 },
  });
  const repository = registry.repository({ domain: 'registry.example', path: 'a' });
  assert.equal((await repository.resolve('x')).digest, digest);
  const password = `Basic ${Buffer.from('user:pass').toString('base64')}`;
  assert.deepEqual(asked[0], ['registry.example:443', password]);
});

import assert from 'node:assert/strict';
import { mkdir, mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { sha256 } from '../../oci/digest.ts';
import { parseReference } from '../../oci/reference.ts';
import { selfSigned } from '../../testing/certificate.ts';
import type { RegistryOptions } from '../options.ts';
import { Hosts } from './resolve.ts';

/** Writes `files` below a new directory and asks where `reference` is served. */
async function lines(
  reference: string,
  files: Readonly<Record<string, string>>,
  options: Omit<RegistryOptions, 'hosts'> = {},
): Promise<string[]> {
  await using root = await mkdtempDisposable(join(tmpdir(), 'mica-hosts-'));
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(root.path, name)), { recursive: true });
    await writeFile(join(root.path, name), text);
  }
  const hosts = new Hosts({
    ...options,
    hosts: {
      directories: [join(root.path, 'certs.d')],
      registriesConf: [join(root.path, 'registries.conf'), join(root.path, 'registries.conf.d')],
    },
  });
  const endpoints = await hosts.endpoints(parseReference(reference));
  return endpoints.map(({ base, path, namespace, capabilities, tls, headers, plainHttp }) =>
    [
      `${base.href}/${path}`,
      ...(namespace === undefined ? [] : [`ns=${namespace}`]),
      [...capabilities].join('+'),
      ...Object.keys(tls),
      ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
      ...(plainHttp ? ['plain'] : []),
    ].join(' '),
  );
}

const ALL = 'pull+resolve+push';

test('without configuration an image comes from its registry, that of Docker Hub by its other name', async () => {
  assert.deepEqual(await lines('redis', {}), [
    `https://registry-1.docker.io/v2/library/redis ${ALL}`,
  ]);
  assert.deepEqual(await lines('quay.io/a/b', {}), [`https://quay.io/v2/a/b ${ALL}`]);
  const loopback = [`https://[::1]:5000/v2/x ${ALL} skipVerify plain`];
  assert.deepEqual(await lines('[::1]:5000/x', {}), loopback);
});

test('insecure hosts are named exactly, or by their network', async () => {
  const insecure = ['a.example:5000', '10.1.0.0/16', 'b.example'];
  const plain = async (reference: string): Promise<boolean> =>
    (await lines(reference, {}, { insecure }))[0]!.endsWith('plain');
  assert.deepEqual(
    await Promise.all(
      [
        'a.example:5000/x',
        'b.example:1/x',
        '10.1.2.3/x',
        'a.example/x',
        'sub.b.example/x',
        '10.2.0.1/x',
      ].map(plain),
    ),
    [true, true, true, false, false, false],
  );
});

test('hosts.toml is read as containerd does', async () => {
  const toml = `
    server = "https://registry-1.docker.io"
    [host."https://mirror.example/prefix"]
      capabilities = ["pull"]
      ca = "ca.pem"
      skip_verify = true
      [host."https://mirror.example/prefix".header]
        X-Custom = ["a", "b"]
    [host."http://10.0.0.1:5000"]
      capabilities = ["pull", "resolve"]
    [host."https://other.example/v2/cache"]
      override_path = true
      client = [["client.pem", "client.key"]]
  `;
  const { cert, key } = selfSigned();
  const at = (name: string): string => `certs.d/docker.io/${name}`;
  const files = {
    [at('hosts.toml')]: toml,
    [at('ca.pem')]: cert,
    [at('client.pem')]: cert,
    [at('client.key')]: key,
  };
  assert.deepEqual(await lines('redis', files), [
    'https://mirror.example/prefix/v2/library/redis ns=docker.io pull ca skipVerify x-custom: a, b',
    'http://10.0.0.1:5000/v2/library/redis ns=docker.io pull+resolve',
    `https://other.example/v2/cache/library/redis ns=docker.io ${ALL} client`,
    `https://registry-1.docker.io/v2/library/redis ${ALL}`,
  ]);
});

test('a directory for all hosts serves those without one of their own', async () => {
  const files = {
    'certs.d/_default/hosts.toml': '[host."https://mirror.example"]',
    'certs.d/b.example_5000_/hosts.toml': 'server = "https://c.example"',
  };
  assert.deepEqual(await lines('a.example/x', files), [
    `https://mirror.example/v2/x ns=a.example ${ALL}`,
    `https://a.example/v2/x ${ALL}`,
  ]);
  assert.deepEqual(await lines('b.example:5000/x', files), [
    `https://c.example/v2/x ns=b.example:5000 ${ALL}`,
  ]);
});

test("docker's certificates are found by host and port", async () => {
  const { cert, key } = selfSigned();
  const at = (name: string): string => `certs.d/a.example:5000/${name}`;
  const files = { [at('ca.crt')]: cert, [at('me.cert')]: cert, [at('me.key')]: key };
  assert.deepEqual(await lines('a.example:5000/x', files), [
    `https://a.example:5000/v2/x ${ALL} ca client`,
  ]);
  assert.deepEqual(await lines('a.example/x', files), [`https://a.example/v2/x ${ALL}`]);
  const half = { [at('me.cert')]: cert };
  await assert.rejects(lines('a.example:5000/x', half), { code: 'FAILED_PRECONDITION' });
});

const CONF = `
unqualified-search-registries = ["quay.io"]
[[registry]]
prefix = "example.com/foo"
location = "internal.example:5000/bar"
insecure = true
[[registry.mirror]]
location = "mirror.example/foo"
[[registry.mirror]]
location = "tags.example"
pull-from-mirror = "tag-only"
[[registry.mirror]]
location = "digests.example"
pull-from-mirror = "digest-only"

[[registry]]
location = "example.com"
blocked = true

[[registry]]
prefix = "*.wild.example"
location = "tame.example"

[[registry]]
location = "docker.io"
[[registry.mirror]]
location = "hub.example/proxy"
`;

const CONF_CASES: readonly (readonly [string, readonly string[]])[] = [
  [
    'example.com/foo/image:tag',
    [
      'https://mirror.example/v2/foo/image pull+resolve',
      'https://tags.example/v2/image pull+resolve',
      `https://internal.example:5000/v2/bar/image ${ALL} skipVerify plain`,
    ],
  ],
  [
    `example.com/foo/image@${sha256('x')}`,
    [
      'https://mirror.example/v2/foo/image pull+resolve',
      'https://digests.example/v2/image pull+resolve',
      `https://internal.example:5000/v2/bar/image ${ALL} skipVerify plain`,
    ],
  ],
  ['a.wild.example/x/y', [`https://tame.example/v2/x/y ${ALL}`]],
  [
    'redis',
    [
      'https://hub.example/v2/proxy/library/redis pull+resolve',
      `https://registry-1.docker.io/v2/library/redis ${ALL}`,
    ],
  ],
  ['unrelated.example/x', [`https://unrelated.example/v2/x ${ALL}`]],
];

for (const [reference, expected] of CONF_CASES)
  test(`registries.conf sends ${reference} to ${expected.length} place(s)`, async () => {
    assert.deepEqual(await lines(reference, { 'registries.conf': CONF }), expected);
  });

test('a blocked registry is refused, its parts with another rule are not', async () => {
  for (const name of ['example.com/x', 'example.com/foobar/x'])
    await assert.rejects(lines(name, { 'registries.conf': CONF }), { code: 'PERMISSION_DENIED' });
});

test('drop-in files add to registries.conf and replace its rules', async () => {
  const files = {
    'registries.conf': CONF,
    'registries.conf.d/1.conf': '[[registry]]\nlocation = "example.com"\n',
    'registries.conf.d/2.conf': '[[registry]]\nprefix = "a.example"\nlocation = "b.example"\n',
    'registries.conf.d/README': 'not TOML {',
  };
  assert.deepEqual(await lines('example.com/x', files), [`https://example.com/v2/x ${ALL}`]);
  assert.deepEqual(await lines('a.example/x', files), [`https://b.example/v2/x ${ALL}`]);
});

test('mirrors named to Mica come first and alone', async () => {
  const mirrors = { 'docker.io': ['https://mine.example', 'http://plain.example:5000/'] };
  assert.deepEqual(await lines('redis', { 'registries.conf': CONF }, { mirrors }), [
    'https://mine.example/v2/library/redis pull+resolve',
    'http://plain.example:5000/v2/library/redis pull+resolve',
    `https://registry-1.docker.io/v2/library/redis ${ALL}`,
  ]);
  await assert.rejects(lines('redis', {}, { mirrors: { 'docker.io': ['ftp://x'] } }), {
    code: 'INVALID_ARGUMENT',
  });
});

const BROKEN: readonly (readonly [string, string])[] = [
  ['registries.conf', '[[registry]'],
  ['registries.conf', 'registry = "x"'],
  ['registries.conf', '[[registry]]\ninsecure = true'],
  ['certs.d/docker.io/hosts.toml', 'server = 5'],
  ['certs.d/docker.io/hosts.toml', '[host."ftp://x"]'],
  ['certs.d/docker.io/hosts.toml', '[host."https://x"]\nca = "absent.pem"'],
];

for (const [name, text] of BROKEN)
  test(`${name} with ${JSON.stringify(text)} is FAILED_PRECONDITION and names the file`, async () => {
    await assert.rejects(
      lines('redis', { [name]: text }),
      (error: Error & { readonly code?: string }) => {
        assert.match(error.message, /registries\.conf|hosts\.toml|absent\.pem/);
        return error.code === 'FAILED_PRECONDITION';
      },
    );
  });

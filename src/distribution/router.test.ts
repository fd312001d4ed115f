import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { sha256 } from '../oci/digest.ts';
import { Refusal } from './exchange.ts';
import { isName, routeOf, withNamespace } from './router.ts';

const digest = sha256('x');
const id = '01234567-89ab-4cde-8f01-23456789abcd';

for (const [path, expected] of [
  ['/v2', { kind: 'base' }],
  ['/v2/', { kind: 'base' }],
  ['/v2/_catalog', { kind: 'catalog' }],
  ['/v2/a/tags/list', { kind: 'tags', name: 'a' }],
  ['/v2/a/b/c/tags/list', { kind: 'tags', name: 'a/b/c' }],
  ['/v2/a/manifests/v1', { kind: 'manifest', name: 'a', reference: 'v1' }],
  [`/v2/a/manifests/${digest}`, { kind: 'manifest', name: 'a', reference: digest }],
  [`/v2/a/blobs/${digest}`, { kind: 'blob', name: 'a', digest }],
  [`/v2/a/blobs/${digest.replace(':', '%3A')}`, { kind: 'blob', name: 'a', digest }],
  ['/v2/a/blobs/uploads', { kind: 'uploads', name: 'a' }],
  ['/v2/a/blobs/uploads/', { kind: 'uploads', name: 'a' }],
  [`/v2/a/blobs/uploads/${id}`, { kind: 'upload', name: 'a', id }],
  [`/v2/a/referrers/${digest}`, { kind: 'referrers', name: 'a', digest }],
  // Names may contain what looks like an endpoint: the end of a path decides.
  ['/v2/blobs/uploads/tags/list', { kind: 'tags', name: 'blobs/uploads' }],
  ['/v2/tags/list/manifests/v1', { kind: 'manifest', name: 'tags/list', reference: 'v1' }],
] as const)
  test(`${path} is ${expected.kind}`, () => {
    assert.deepEqual(routeOf(path), expected);
  });

for (const [path, status, code] of [
  ['/', 404, 'UNSUPPORTED'],
  ['/v1/', 404, 'UNSUPPORTED'],
  ['/v2/a', 404, 'UNSUPPORTED'],
  ['/v2/tags/list', 404, 'UNSUPPORTED'],
  ['//v2/', 404, 'UNSUPPORTED'],
  ['http://elsewhere/v2/', 404, 'UNSUPPORTED'],
  ['/v2/A/tags/list', 400, 'NAME_INVALID'],
  ['/v2/../a/tags/list', 400, 'NAME_INVALID'],
  ['/v2/%2e%2e/tags/list', 400, 'NAME_INVALID'],
  ['/v2/a%00b/tags/list', 400, 'NAME_INVALID'],
  ['/v2/%/tags/list', 400, 'NAME_INVALID'],
  ['/v2/a/blobs/sha256:0', 400, 'DIGEST_INVALID'],
  ['/v2/a/manifests/sha256:0', 400, 'DIGEST_INVALID'],
  ['/v2/a/referrers/latest', 400, 'DIGEST_INVALID'],
  ['/v2/a/blobs/uploads/..', 404, 'BLOB_UPLOAD_UNKNOWN'],
] as const)
  test(`${path} is ${code}`, () => {
    assert.throws(() => routeOf(path), { status, code });
  });

test('a mirror is asked for the repository of another registry', () => {
  const route = routeOf('/v2/a/b/manifests/v1');
  assert.equal(withNamespace(route, null), route);
  for (const [namespace, name] of [
    ['ghcr.io', 'ghcr.io/a/b'],
    ['docker.io', 'docker.io/a/b'],
    ['Registry.example:5000', 'registry.example_5000/a/b'],
  ] as const)
    assert.deepEqual(withNamespace(route, namespace), { ...route, name });
  assert.throws(() => withNamespace(route, '../x'), { code: 'NAME_INVALID' });
  assert.deepEqual(withNamespace({ kind: 'base' }, 'ghcr.io'), { kind: 'base' });
});

test('whatever a path is, a name that comes out of it stays below a directory', () => {
  const piece = fc.constantFrom(
    'a',
    'B',
    '..',
    '.',
    '/',
    '//',
    '%2e',
    '%2F',
    '%5c',
    '-',
    '_',
    '\0',
  );
  const end = fc.constantFrom('/tags/list', '/manifests/x', `/blobs/${digest}`, '/blobs/uploads/');
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 8 }), end, (pieces, rest) => {
      let route;
      try {
        route = routeOf(`/v2/${pieces.join('')}${rest}`);
      } catch (error) {
        return error instanceof Refusal;
      }
      if (!('name' in route)) return true;
      return /^[a-z0-9]/.test(route.name) && !/\.\.|\/\/|\/\.|[^a-z0-9./_-]|\/$/.test(route.name);
    }),
    { numRuns: 2000 },
  );
});

test('a name of 255 characters is the longest', () => {
  assert.ok(isName('a'.repeat(255)));
  assert.ok(!isName('a'.repeat(256)));
});

test('a name that almost matches takes no longer than one that does', () => {
  const start = process.cpuUsage();
  assert.ok(!isName(`${'a-'.repeat(120)}!`));
  assert.throws(() => routeOf(`/v2/${'/blobs/uploads'.repeat(1000)}`), Refusal);
  assert.ok(process.cpuUsage(start).user < 2_000_000);
});

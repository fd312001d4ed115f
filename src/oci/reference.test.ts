import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isCode } from '../errors.ts';
import {
  familiar,
  formatReference,
  isRepositoryPath,
  isTag,
  parseReference,
  type Reference,
  repositoryOf,
  withDefaults,
} from './reference.ts';

const DIGEST = `sha256:${'86e0e091'.repeat(8)}` as const;
const ID = '1a3f5e7d9c1b3a5f7e9d1c3b5a7f9e1d3c5b7a9f1e3d5d7c9b1a3f5e7d9c1b3a';

/** What docker makes of what people type: input, full form, familiar form where it is not the input. */
const NAMES: readonly (readonly [string, string, string?])[] = [
  ['redis', 'docker.io/library/redis'],
  ['redis:7', 'docker.io/library/redis:7'],
  ['192.168.0.1', 'docker.io/library/192.168.0.1'],
  ['192.168.0.1:80', 'docker.io/library/192.168.0.1:80'],
  ['fooo/bar', 'docker.io/fooo/bar'],
  ['docker.io/redis', 'docker.io/library/redis', 'redis'],
  ['docker.io/library/foo/bar', 'docker.io/library/foo/bar', 'library/foo/bar'],
  ['index.docker.io/fooo/bar', 'docker.io/fooo/bar', 'fooo/bar'],
  ['index.docker.io/redis', 'docker.io/library/redis', 'redis'],
  ['localhost/x', 'localhost/x'],
  ['localhost:5000/x:y', 'localhost:5000/x:y'],
  ['127.0.0.1:8000/private/moonbase', '127.0.0.1:8000/private/moonbase'],
  ['[::1]:5000/x', '[::1]:5000/x'],
  ['[fc00:1:2:3:4:5:6:7]/library/debian', '[fc00:1:2:3:4:5:6:7]/library/debian'],
  ['xn--n3h.com:18080/foo', 'xn--n3h.com:18080/foo'],
  ['test_com/foo', 'docker.io/test_com/foo'],
  ['Foo/bar', 'Foo/bar'],
  ['dock__er/dock---er.x', 'docker.io/dock__er/dock---er.x'],
  [`busybox:latest@${DIGEST}`, `docker.io/library/busybox:latest@${DIGEST}`],
  [`docker.io/${ID}`, `docker.io/library/${ID}`, `library/${ID}`],
  // Docker prints a.b/c for this one, which it would then read as a host.
  ['docker.io/a.b/c', 'docker.io/a.b/c'],
  ['docker.io/localhost/c', 'docker.io/localhost/c'],
];

for (const [text, full, short = text] of NAMES)
  test(`${text} is ${full}, or ${short} for short`, () => {
    const reference = parseReference(text);
    assert.equal(formatReference(reference), full);
    assert.equal(familiar(reference), short);
  });

const REFUSED: readonly (readonly [string, RegExp])[] = [
  ['', /empty/],
  [ID, /image ID/],
  ['https://github.com/docker/docker', /not a/],
  ['docker/Docker', /lower case; try "docker\/docker"/],
  ['Redis:7', /lower case; try "redis:7"/],
  ['-docker', /repository/],
  ['-docker.io/docker/docker', /host/],
  ['docker///docker', /repository/],
  ['docker/', /repository/],
  ['dock..er/docker', /repository|host/],
  ['dock_.er/docker', /host/],
  ['____/____', /repository/],
  ['[fc00::1]', /repository/],
  ['[fc00::1]:5000', /not a/],
  ['fc00::1:5000/debian', /host/],
  ['[fe80::1%eth0]:5000/debian', /host/],
  ['[2001:db8:3:4::192.0.2.33]:5000/debian', /host/],
  ['redis:', /tag/],
  ['redis:-x', /tag/],
  [`redis:${'a'.repeat(129)}`, /tag/],
  ['redis@sha256:abc', /digest/],
  [`redis@${DIGEST.toUpperCase()}`, /digest/],
  ['redis@', /digest/],
  [`redis@${DIGEST}@${DIGEST}`, /digest/],
  ['a b', /repository/],
  ['../etc', /host|repository/],
  ['redis\n', /repository/],
  [`${'a'.repeat(256)}/x`, /at most 255/],
  ['x'.repeat(5000), /too long/],
];

for (const [text, reason] of REFUSED)
  test(`${JSON.stringify(text.slice(0, 60))} is refused`, () => {
    assert.throws(
      () => parseReference(text),
      (error) => isCode(error, 'INVALID_ARGUMENT') && reason.test(error.message),
    );
  });

test('a tag of 128 characters and a path of 255 are the longest', () => {
  assert.ok(isTag('a'.repeat(128)));
  assert.ok(isRepositoryPath('a'.repeat(255)));
  assert.equal(isRepositoryPath('a'.repeat(256)), false);
});

test('only a name without tag and digest means :latest', () => {
  const full = (text: string): string => formatReference(withDefaults(parseReference(text)));
  assert.equal(full('redis'), 'docker.io/library/redis:latest');
  assert.equal(full('redis:7'), 'docker.io/library/redis:7');
  assert.equal(full(`redis@${DIGEST}`), `docker.io/library/redis@${DIGEST}`);
  assert.equal(repositoryOf(parseReference(`redis:7@${DIGEST}`)), 'docker.io/library/redis');
});

const label = fc.stringMatching(/^[a-zA-Z0-9]([a-zA-Z0-9-]{0,5}[a-zA-Z0-9])?$/);
const domain = fc
  .oneof(
    fc.constant('docker.io'),
    fc.constant('localhost'),
    fc.array(label, { minLength: 2, maxLength: 3 }).map((labels) => labels.join('.')),
    fc
      .ipV6()
      .filter((ip) => !ip.includes('.'))
      .map((ip) => `[${ip}]`),
  )
  .chain((host) =>
    fc
      .option(fc.nat(65_535), { nil: undefined })
      .map((port) => (port === undefined || host === 'docker.io' ? host : `${host}:${port}`)),
  )
  .filter((host) => host !== 'index.docker.io');
const component = fc.stringMatching(/^[a-z0-9]{1,4}((\.|_|__|-{1,3})[a-z0-9]{1,4}){0,2}$/);
const path = fc.array(component, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));
const tag = fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/);
const digest = fc.constantFrom(DIGEST, `sha512:${'0a'.repeat(64)}` as const);

const references: fc.Arbitrary<Reference> = fc
  .tuple(domain, path, fc.option(tag, { nil: undefined }), fc.option(digest, { nil: undefined }))
  .map(([host, name, someTag, someDigest]) => {
    const reference: { -readonly [Key in keyof Reference]: Reference[Key] } = {
      domain: host,
      path: host === 'docker.io' && !name.includes('/') ? `library/${name}` : name,
    };
    if (someTag !== undefined) reference.tag = someTag;
    if (someDigest !== undefined) reference.digest = someDigest;
    return reference;
  });

test('parsing what was formatted gives the reference back', () => {
  fc.assert(
    fc.property(references, (reference) => {
      assert.deepEqual(parseReference(formatReference(reference)), reference);
    }),
  );
});

test('the familiar form means the same', () => {
  fc.assert(
    fc.property(references, (reference) => {
      assert.deepEqual(parseReference(familiar(reference)), reference);
    }),
  );
});

test('any text is a reference that formats to itself, or refused with a code', () => {
  const noise = fc.oneof(
    fc.string(),
    fc.string({ unit: 'binary' }),
    fc.stringMatching(/^[a-z.:/@\-_[\]0-9A-Z]{0,40}$/),
  );
  fc.assert(
    fc.property(noise, (text) => {
      try {
        const full = formatReference(parseReference(text));
        assert.equal(formatReference(parseReference(full)), full);
      } catch (error) {
        assert.ok(isCode(error, 'INVALID_ARGUMENT'), String(error));
      }
    }),
  );
});

test('a long hostile reference is refused in no time', () => {
  const before = process.cpuUsage();
  for (const text of ['a-'.repeat(510), `${'a.'.repeat(500)}/x`, `x/${'a_'.repeat(500)}`])
    assert.throws(() => parseReference(text));
  assert.ok(process.cpuUsage(before).user < 1_000_000);
});

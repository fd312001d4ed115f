import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isCode } from '../errors.ts';
import { choosePlatform, matchPlatform } from './choose-platform.ts';
import type { Descriptor } from './descriptor.ts';
import { sha256 } from './digest.ts';
import { OCI_INDEX, OCI_MANIFEST } from './media-type.ts';
import { formatPlatform, hostPlatform, normalisePlatform, parsePlatform } from './platform.ts';

const host = hostPlatform().architecture;

const SPELLINGS: readonly (readonly [string, string])[] = [
  ['linux/amd64', 'linux/amd64'],
  ['linux/x86_64', 'linux/amd64'],
  ['Linux/X86-64', 'linux/amd64'],
  ['linux/amd64/v1', 'linux/amd64'],
  ['linux/amd64/v3', 'linux/amd64/v3'],
  ['linux/i386', 'linux/386'],
  ['linux/aarch64', 'linux/arm64'],
  ['linux/arm64/v8', 'linux/arm64'],
  ['linux/arm64/8', 'linux/arm64'],
  ['linux/arm64/v9.2', 'linux/arm64/v9.2'],
  ['linux/arm', 'linux/arm/v7'],
  ['linux/arm/6', 'linux/arm/v6'],
  ['linux/armhf', 'linux/arm/v7'],
  ['linux/armel', 'linux/arm/v6'],
  ['macos/arm64', 'darwin/arm64'],
  ['windows(10.0.17763)/amd64', 'windows(10.0.17763)/amd64'],
  ['arm64', 'linux/arm64'],
  ['riscv64', 'linux/riscv64'],
];

for (const [text, normal] of SPELLINGS)
  test(`${text} is ${normal}`, () => {
    assert.equal(formatPlatform(parsePlatform(text)), normal);
  });

test('an operating system alone means the architecture of this machine', () => {
  assert.equal(parsePlatform('windows').architecture, host);
  assert.equal(parsePlatform('linux').architecture, host);
});

for (const text of ['', '/', 'linux/', 'linux/*', 'a/b/c/d', 'linux amd64', 'linux(/amd64', '../x'])
  test(`${JSON.stringify(text)} is not a platform`, () => {
    assert.throws(
      () => parsePlatform(text),
      (error) => isCode(error, 'INVALID_ARGUMENT'),
    );
  });

test('normalising twice is normalising once, and formatting keeps everything', () => {
  const platform = fc.record({
    os: fc.constantFrom('linux', 'Windows', 'macOS'),
    architecture: fc.constantFrom('amd64', 'x86_64', 'arm', 'armhf', 'aarch64', 'ppc64le', 'I386'),
    variant: fc.option(fc.constantFrom('', 'v1', '7', 'v8', 'V6', 'v8.0', 'v9'), {
      nil: undefined,
    }),
  });
  fc.assert(
    fc.property(platform, (value) => {
      const normal = normalisePlatform(value);
      assert.deepEqual(normalisePlatform(normal), normal);
      assert.deepEqual(parsePlatform(formatPlatform(normal)), normal);
    }),
  );
});

/** What runs where, best first: as containerd's `platforms.Only` orders it. */
const COMPATIBLE: readonly (readonly [string, readonly string[], readonly string[]])[] = [
  ['linux/amd64', ['linux/amd64', 'linux/386'], ['linux/amd64/v2', 'linux/arm64', 'windows/amd64']],
  [
    'linux/amd64/v3',
    ['linux/amd64/v3', 'linux/amd64/v2', 'linux/amd64', 'linux/386'],
    ['linux/amd64/v4'],
  ],
  [
    'linux/arm64',
    ['linux/arm64/v8', 'linux/arm/v8', 'linux/arm/v7', 'linux/arm/v6', 'linux/arm/v5'],
    ['linux/arm64/v9', 'linux/amd64'],
  ],
  [
    'linux/arm64/v9.1',
    [
      'linux/arm64/v9.1',
      'linux/arm64/v9',
      'linux/arm64/v8.6',
      'linux/arm64/v8.1',
      'linux/arm64',
      'linux/arm/v8',
    ],
    ['linux/arm64/v9.2', 'linux/arm64/v8.7'],
  ],
  ['linux/arm/v7', ['linux/arm', 'linux/arm/v6', 'linux/arm/v5'], ['linux/arm/v8', 'linux/arm64']],
  ['linux/arm/v5', ['linux/arm/v5'], ['linux/arm/v6']],
  ['linux/s390x', ['linux/s390x'], ['linux/s390']],
];

const manifestFor = (text: string, extra: Partial<Descriptor> = {}): Descriptor => ({
  mediaType: OCI_MANIFEST,
  digest: sha256(text),
  size: 1,
  platform: parsePlatform(text),
  ...extra,
});

for (const [wanted, compatible, others] of COMPATIBLE) {
  test(`${wanted} runs ${compatible.join(', ')}, preferred in this order`, () => {
    const offered = [...others, ...compatible].map((text) => manifestFor(text));
    let rest = offered;
    for (const best of compatible) {
      const chosen = choosePlatform(rest, parsePlatform(wanted));
      assert.equal(chosen.digest, sha256(best));
      rest = rest.filter((descriptor) => descriptor !== chosen);
    }
    assert.throws(
      () => choosePlatform(rest, parsePlatform(wanted)),
      (error) => isCode(error, 'NOT_FOUND') && error.message.includes(others[0]!),
    );
  });

  test(`${wanted} does not run ${others.join(', ')}`, () => {
    for (const other of others)
      assert.equal(matchPlatform(parsePlatform(wanted), parsePlatform(other)), false, other);
  });
}

test('attestations and artifacts are never chosen', () => {
  const platform = { os: 'unknown', architecture: 'unknown' };
  const amd64 = parsePlatform('linux/amd64');
  const descriptors: Descriptor[] = [
    manifestFor('linux/amd64', {
      annotations: { 'vnd.docker.reference.type': 'attestation-manifest' },
    }),
    manifestFor('linux/amd64', { artifactType: 'application/spdx+json' }),
    manifestFor('linux/amd64', { mediaType: 'application/x' }),
    manifestFor('linux/arm', { platform }),
  ];
  assert.throws(() => choosePlatform(descriptors, amd64), {
    code: 'NOT_FOUND',
    message: /no images/,
  });
  assert.throws(() => choosePlatform([], amd64), { code: 'NOT_FOUND' });
});

test('an entry that names no platform is taken only when no other fits', () => {
  const amd64 = parsePlatform('linux/amd64');
  const bare: Descriptor = { mediaType: OCI_INDEX, digest: sha256('bare'), size: 1 };
  assert.equal(choosePlatform([bare, manifestFor('linux/386')], amd64).digest, sha256('linux/386'));
  assert.equal(choosePlatform([manifestFor('linux/s390x'), bare], amd64), bare);
});

const OFFERED = ['10.0.26100.1', '10.0.25398.7', '10.0.20348.1', '10.0.20348.2', '10.0.17763.5'];
const HOSTS: readonly (readonly [host: string, chosen: string | undefined, why: string])[] = [
  ['10.0.17763.9', '10.0.17763.5', 'the same build, whatever the revision'],
  ['10.0.18363.1', undefined, 'before Server 2022 nothing but its own build'],
  ['10.0.20348.1', '10.0.20348.2', 'of one build the newest revision'],
  ['10.0.25398.1', '10.0.25398.7', 'its own build before an older one'],
  ['10.0.22621.1', '10.0.20348.2', 'what the release of long service before it runs'],
  ['10.0.26100.9', '10.0.26100.1', 'its own, being one of long service'],
  ['10.0.30000.1', '10.0.26100.1', 'not what is older than the last of long service'],
  ['11.0.26100.1', undefined, 'nothing of another release'],
];
for (const [machine, chosen, why] of HOSTS)
  test(`Windows ${machine} gets ${why}`, () => {
    const version = (text: string): Descriptor => ({
      ...manifestFor('windows/amd64'),
      digest: sha256(text),
      platform: { os: 'windows', architecture: 'amd64', 'os.version': text },
    });
    const offered = OFFERED.map(version);
    const choose = (): Descriptor =>
      choosePlatform(offered, parsePlatform(`windows(${machine})/amd64`));
    if (chosen === undefined) assert.throws(choose, { code: 'NOT_FOUND' });
    else assert.equal(choose().digest, sha256(chosen));
    // Who names no version gets the first, as from other engines.
    const any = choosePlatform(offered, parsePlatform('windows/amd64'));
    assert.equal(any.digest, sha256(OFFERED[0]!));
  });

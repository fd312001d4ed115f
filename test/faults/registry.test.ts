/** The registry client on a bad network: whatever happens, exact bytes or an error with a code, and no hang. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';
import { fetchAll, verified } from '../../src/content/verify.ts';
import { openTemporaryRegistry } from '../../src/distribution/temporary.ts';
import { type ErrorCode, MicaError } from '../../src/errors.ts';
import type { Descriptor } from '../../src/oci/descriptor.ts';
import { sha256 } from '../../src/oci/digest.ts';
import { parseReference } from '../../src/oci/reference.ts';
import { openRegistry, type Repository } from '../../src/registry/registry.ts';
import { type FaultProxy, type FaultRule, openFaultProxy } from '../../src/testing/fault-proxy.ts';
import * as faults from '../../src/testing/faults.ts';
import { Client } from '../../src/testing/repository/client.ts';

const SIZE = 400_000;
const ATTEMPTS = 4;
const token = 'a-token-for-tests';
const retry = { attempts: ATTEMPTS, delay: 5, maxDelay: 1500 };
/** How long nothing may come, in milliseconds: longer than a busy machine gives this process no turn … */
const PATIENT = 10_000;
/** … or, where that is what is tested, and bytes that come late do not count, less. */
const IMPATIENT = 250;
const BLOBS = /\/blobs\/sha256:/;
const MANIFESTS = /\/manifests\//;

interface Bench extends AsyncDisposable {
  readonly proxy: FaultProxy;
  readonly repository: Repository;
  readonly blob: Buffer;
  readonly target: Descriptor;
  readonly manifest: Descriptor;
}

/** A registry with one image, and a client that sees it through a proxy with these rules. */
async function openBench(rules: readonly FaultRule[], idle = PATIENT): Promise<Bench> {
  await using stack = new AsyncDisposableStack();
  const registry = stack.use(await openTemporaryRegistry({ writable: { token } }));
  const client = new Client({ url: registry.url, authorization: `Bearer ${token}` });
  const { bytes: blob, descriptor: target } = await client.pushBlob('a/b', randomBytes(SIZE));
  const image = await client.image('a/b', { layers: [target] });
  const { descriptor: manifest } = await client.pushManifest('a/b', image, 'v1');
  const proxy = stack.use(await openFaultProxy({ upstream: registry.url, rules }));
  const repositories = stack.use(openRegistry({ retry, timeouts: { idle, connect: PATIENT } }));
  const repository = repositories.repository(parseReference(`${proxy.host}/a/b`));
  const all = stack.move();
  return {
    proxy,
    repository,
    blob,
    target,
    manifest,
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

const download = async ({ repository, target }: Bench): Promise<Buffer> =>
  Buffer.concat(await Array.fromAsync(verified(repository.fetch(target), target)));

const once = (fault: faults.Fault, path = BLOBS): FaultRule => ({
  path,
  method: 'GET',
  nth: 1,
  fault,
});
const always = (fault: faults.Fault, path = BLOBS): FaultRule => ({ path, method: 'GET', fault });

const stalls = (rules: readonly FaultRule[]): boolean =>
  rules.some(({ fault }) => fault.name === 'stall');

const hasCode =
  (...codes: ErrorCode[]) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof MicaError, String(error));
    assert.ok(codes.includes(error.code), `${error.code}: ${error.message}`);
    assert.ok(error.message.length > 20, error.message);
    return true;
  };

/** A fault that befell nothing proves nothing. */
function assertBefell({ proxy }: Bench, rules: readonly FaultRule[]): void {
  const befell = new Set(proxy.requests.flatMap((request) => request.faults));
  for (const { fault } of rules) assert.ok(befell.has(fault.name), fault.name);
}

/** What the client survives. `twice`: bytes may come again, because the network lost or repeated them. */
const SURVIVED: readonly (readonly [
  title: string,
  rules: readonly FaultRule[],
  twice?: 'twice',
])[] = [
  ['no fault', []],
  ['a connection that drops', [once(faults.cut(100_000))]],
  ['a connection that drops at once', [once(faults.cut(0))]],
  ['a connection that is reset', [once(faults.cut(100_000, true))], 'twice'],
  ['connections that drop again and again, but go on', [always(faults.cut(80_000))]],
  ['an answer that stalls', [once(faults.stall(100_000))]],
  ['a slow answer', [once(faults.delay(100))]],
  ['an answer that trickles', [once(faults.trickle(1_000_000))]],
  ['an answer that ends early as if it were whole', [once(faults.truncate(100_000))]],
  ['a length that is announced too short', [once(faults.misstateLength(-1000))], 'twice'],
  ['no length at all', [always(faults.chunked())]],
  ['too many requests', [once(faults.tooManyRequests())]],
  ['too many requests, with a time to wait', [once(faults.tooManyRequests('1'))]],
  ['an error of the server', [once(faults.respond(500))]],
  ['a server that is not available', [once(faults.respond(503))]],
  ['a gateway without its server', [once(faults.respond(502, {}, '<html>bad gateway'))]],
  [
    'a server that ignores ranges',
    [once(faults.cut(100_000)), always(faults.ignoreRange())],
    'twice',
  ],
  [
    'an answer without the header of the digest',
    [always(faults.header('docker-content-digest', undefined))],
  ],
];

describe('a blob arrives, byte for byte, in spite of', () => {
  for (const [title, rules, twice] of SURVIVED)
    test(title, { timeout: 120_000 }, async () => {
      await using bench = await openBench(rules, stalls(rules) ? PATIENT / 2 : PATIENT);
      assert.ok((await download(bench)).equals(bench.blob));
      assertBefell(bench, rules);
      if (twice) return;
      assert.equal(bench.proxy.sent(bench.target.digest), SIZE, 'nothing is downloaded twice');
    });
});

/** What it does not. */
const REFUSED: readonly (readonly [
  title: string,
  rules: readonly FaultRule[],
  ...codes: ErrorCode[],
])[] = [
  ['a byte that is another', [once(faults.corrupt(123_456))], 'DATA_LOSS'],
  ['bytes beyond the end', [once(faults.extend(10))], 'DATA_LOSS'],
  ['a length that is announced too long', [once(faults.misstateLength(10))], 'DATA_LOSS'],
  [
    'the digest of something else',
    [once(faults.header('docker-content-digest', sha256('something else')))],
    'DATA_LOSS',
  ],
  ['a web page', [once(faults.html())], 'UNAVAILABLE'],
  ['a blob that has gone', [once(faults.respond(404))], 'NOT_FOUND'],
  ['a refusal', [once(faults.respond(403))], 'PERMISSION_DENIED'],
  ['a login that nobody can do', [always(faults.unauthorized('Negotiate'))], 'UNAUTHENTICATED'],
  [
    'a later part than the one asked for',
    [
      once(faults.cut(100_000)),
      { path: BLOBS, nth: [2, 3, 4, 5], fault: faults.shiftContentRange(7) },
    ],
    'UNAVAILABLE',
    'DATA_LOSS',
  ],
  [
    'an earlier part than the one asked for',
    [
      once(faults.cut(100_000)),
      { path: BLOBS, nth: [2, 3, 4, 5], fault: faults.shiftContentRange(-7) },
    ],
    'UNAVAILABLE',
    'DATA_LOSS',
  ],
  ['connections that never bring anything', [always(faults.cut(0))], 'UNAVAILABLE'],
  ['answers that always stall', [always(faults.stall(0))], 'UNAVAILABLE'],
  ['a server that stays unavailable', [always(faults.respond(503))], 'UNAVAILABLE'],
  ['a rate limit for an hour', [always(faults.tooManyRequests('3600'))], 'UNAVAILABLE'],
];

describe('a blob does not arrive, and the error has a code, because of', () => {
  for (const [title, rules, ...codes] of REFUSED)
    test(title, { timeout: 120_000 }, async () => {
      await using bench = await openBench(rules, stalls(rules) ? IMPATIENT : PATIENT);
      await assert.rejects(download(bench), hasCode(...codes));
      assertBefell(bench, rules);
      const asked = bench.proxy.requests.filter(({ target }) => BLOBS.test(target));
      assert.ok(asked.length <= ATTEMPTS + 1, `asked ${asked.length} times`);
    });
});

test('a redirect that never ends is an error', async () => {
  const rules: FaultRule[] = [];
  await using bench = await openBench(rules);
  rules.push(always(faults.redirectTo(bench.proxy.url)));
  await assert.rejects(download(bench), hasCode('UNAVAILABLE'));
});

test('an abort ends a download that stalls, with its own reason', async () => {
  await using bench = await openBench([always(faults.stall(100_000))]);
  const stop = new AbortController();
  const { repository, target } = bench;
  const reading = (async () => {
    for await (const _ of repository.fetch(target, { signal: stop.signal }))
      stop.abort(new Error('enough'));
  })();
  await assert.rejects(reading, /enough/);
});

test('a download that goes on at an offset asks for no byte before it', async () => {
  await using bench = await openBench([once(faults.cut(50_000))]);
  const { repository, target, blob, proxy } = bench;
  const rest = Buffer.concat(await Array.fromAsync(repository.fetch(target, { offset: 123_456 })));
  assert.ok(rest.equals(blob.subarray(123_456)));
  assert.equal(proxy.sent(target.digest), SIZE - 123_456);
});

describe('a manifest', () => {
  const documents = (fault: faults.Fault, method?: string): FaultRule => ({
    path: MANIFESTS,
    fault,
    ...(method !== undefined && { method }),
  });
  const resolved = async ({ repository }: Bench): Promise<Buffer> =>
    fetchAll(repository, await repository.resolve('v1'));

  for (const [title, rules] of [
    ['without faults', []],
    ['whose HEAD fails', [documents(faults.respond(405), 'HEAD')]],
    [
      'whose HEAD tells no digest',
      [documents(faults.header('docker-content-digest', undefined), 'HEAD')],
    ],
    ['whose HEAD tells no length', [documents(faults.chunked(), 'HEAD')]],
    ['after an error of the server', [{ ...documents(faults.respond(500)), nth: 1 }]],
    ['after a connection that drops', [{ ...documents(faults.cut(10), 'GET'), nth: 1 }]],
  ] as const)
    test(`arrives ${title}`, async () => {
      await using bench = await openBench(rules);
      assert.equal(sha256(await resolved(bench)), bench.manifest.digest);
      assertBefell(bench, rules);
    });

  for (const [title, rule, ...codes] of [
    ['with a byte that is another', documents(faults.corrupt(30), 'GET'), 'DATA_LOSS'],
    ['that is a web page', documents(faults.html()), 'UNAVAILABLE'],
    ['that is not there', documents(faults.respond(404)), 'NOT_FOUND'],
    ['that ends early', documents(faults.truncate(50), 'GET'), 'DATA_LOSS', 'UNAVAILABLE'],
    ['that never ends', documents(faults.extend(5_000_000), 'GET'), 'DATA_LOSS'],
    [
      'with the digest of something else',
      documents(faults.header('docker-content-digest', sha256('something else'))),
      'DATA_LOSS',
      'NOT_FOUND',
    ],
    ['of a registry that is down', documents(faults.respond(503)), 'UNAVAILABLE'],
    ['behind a connection that always stalls', documents(faults.stall(0), 'GET'), 'UNAVAILABLE'],
  ] as const)
    test(`is refused ${title}`, { timeout: 120_000 }, async () => {
      await using bench = await openBench([rule], stalls([rule]) ? IMPATIENT : PATIENT);
      await assert.rejects(resolved(bench), hasCode(...(codes as ErrorCode[])));
      assertBefell(bench, [rule]);
    });
});

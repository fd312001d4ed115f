import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import type { ErrorCode } from '../../src/errors.ts';
import type { Digest } from '../../src/oci/digest.ts';
import type { FaultRule } from '../../src/testing/fault-proxy.ts';
import * as faults from '../../src/testing/faults.ts';
import type { ImageFixture } from '../../src/testing/image-fixture.ts';
import { file, tree } from '../../src/testing/tree.ts';
import {
  assertFails,
  assertFetchedOnce,
  assertWhole,
  type Attempt,
  attempt as attemptIn,
  NOISE,
  partialOf,
  type Rules,
} from '../support/attempt.ts';
import { openOrigin } from '../support/origin.ts';
import { openTemporaryEngine } from '../support/store.ts';

/** Whole pulls over a bad network, into one store: what arrives is right, or nothing does. */
const origin = openOrigin();
/** Waits as a person would not want them. */
const options = { driver: 'tar', retry: { attempts: 4, delay: 10, maxDelay: 1500 } };
const engine = openTemporaryEngine(options);
/** Gives a stall up: where nothing stalls, a busy machine could look like that, and bytes be lost. */
const hasty = openTemporaryEngine({ ...options, timeouts: { idle: 3000 } });
after(async () => {
  for (const one of [engine, hasty]) await (await one)[Symbol.asyncDispose]();
  await (await origin)[Symbol.asyncDispose]();
});

const attempt = (
  rules: Rules,
  run: (attempt: Attempt) => Promise<void>,
  name = '',
): Promise<void> =>
  attemptIn({ origin, engine: name.includes('stall') ? hasty : engine }, rules, run);

const half = NOISE / 2;

/** The rules for requests of the layer that is large. */
const ofLayer =
  (...all: readonly [fault: FaultRule['fault'], nth?: FaultRule['nth']][]) =>
  ({ layers }: ImageFixture): FaultRule[] =>
    all.map(([fault, nth]) => ({
      method: 'GET',
      path: new RegExp(layers[1]!.digest),
      nth,
      fault,
    }));

const ofManifest =
  (method: string | undefined, fault: FaultRule['fault'], nth?: FaultRule['nth']) =>
  (): FaultRule[] => [{ method, path: /\/manifests\//, nth, fault }];

/** Where the proxy offers bytes twice, or more of them than it says. */
const SENT_MORE = new Set([
  'a registry that ignores ranges',
  'a length that promises less than there is',
]);

describe('a pull gets over', () => {
  const cases: Record<string, Rules> = {
    'a connection that ends': ofLayer([faults.cut(half), 1]),
    'a connection that is reset before the first byte': ofLayer([faults.cut(0, true), 1]),
    'a connection that ends again and again': ofLayer([faults.cut(70_000), [1, 2, 3, 4, 5]]),
    'a stall in the middle of a blob': ofLayer([faults.stall(half), 1]),
    'a stall before the answer': ofManifest(undefined, faults.delay(8000), 1),
    'an answer that ends too early without an error': ofLayer([faults.truncate(half), 1]),
    'a length that promises less than there is': ofLayer([faults.misstateLength(-1000), 1]),
    'blobs without a length': ofLayer([faults.chunked()]),
    'HTTP 500 and 503 for a blob': ofLayer([faults.respond(500), 1], [faults.respond(503), 2]),
    'HTTP 502 for the manifest': ofManifest(undefined, faults.respond(502), [1, 2]),
    'HTTP 429 that says when to come back': ofLayer([faults.tooManyRequests('1'), 1]),
    'HTTP 429 that does not': ofLayer([faults.tooManyRequests(), [1, 2]]),
    'a registry that ignores ranges': ofLayer([faults.cut(half), 1], [faults.ignoreRange(), 2]),
  };
  for (const [name, rules] of Object.entries(cases))
    test(name, async () => {
      const gets = async (one: Attempt): Promise<void> => {
        await one.pull();
        await assertWhole(one);
        if (!SENT_MORE.has(name)) assertFetchedOnce(one);
      };
      await attempt(rules, gets, name);
    });
});

test('a pull that is told to come back later waits as long as it is told', async () => {
  await attempt(ofLayer([faults.tooManyRequests('1'), 1]), async (one) => {
    const before = performance.now();
    await one.pull();
    assert.ok(performance.now() - before >= 1000);
    assert.ok(one.events.some((event) => event.type === 'retry' && event.delay >= 1000));
  });
});

describe('a pull fails, and leaves nothing that could be seen, after', () => {
  const cases: Record<string, [ErrorCode, Rules]> = {
    'HTTP 500 for ever': ['UNAVAILABLE', ofLayer([faults.respond(500)])],
    'HTTP 503 for ever': ['UNAVAILABLE', ofManifest(undefined, faults.respond(503))],
    'HTTP 429 for ever': ['UNAVAILABLE', ofLayer([faults.tooManyRequests()])],
    'HTTP 429 for longer than anybody waits': [
      'UNAVAILABLE',
      ofLayer([faults.tooManyRequests('3600')]),
    ],
    'HTTP 401 for a blob': [
      'UNAUTHENTICATED',
      ofLayer([faults.unauthorized('Basic realm="elsewhere"')]),
    ],
    'HTTP 401 for the manifest': [
      'UNAUTHENTICATED',
      ofManifest(undefined, faults.unauthorized('Basic realm="elsewhere"')),
    ],
    'HTTP 403 for a blob': ['PERMISSION_DENIED', ofLayer([faults.respond(403)])],
    'HTTP 404 for the manifest': ['NOT_FOUND', ofManifest(undefined, faults.respond(404))],
    'HTTP 404 for a blob': ['NOT_FOUND', ofLayer([faults.respond(404)])],
    'a web page instead of a blob': ['UNAVAILABLE', ofLayer([faults.html()])],
    'a web page instead of the manifest': ['UNAVAILABLE', ofManifest(undefined, faults.html())],
    'a byte of a layer that is another one': ['DATA_LOSS', ofLayer([faults.corrupt(half)])],
    'a byte of the manifest that is another one': [
      'DATA_LOSS',
      ofManifest('GET', faults.corrupt(100)),
    ],
    'a byte of the config that is another one': [
      'DATA_LOSS',
      ({ config }) => [{ path: new RegExp(config.digest), fault: faults.corrupt(20) }],
    ],
    'a length that promises more than there is': [
      'DATA_LOSS',
      ofLayer([faults.misstateLength(1000)]),
    ],
    'a layer that is longer than it says': ['DATA_LOSS', ofLayer([faults.extend(10)])],
    'a layer that ends early each time': ['UNAVAILABLE', ofLayer([faults.truncate(0)])],
    'a stall that never ends': ['UNAVAILABLE', ofLayer([faults.stall(1000)])],
    'connections that are cut for ever': ['UNAVAILABLE', ofLayer([faults.cut(0)])],
  };
  for (const [name, [code, rules]] of Object.entries(cases))
    test(name, async () => {
      await attempt(rules, async (one) => void (await assertFails(one, code)), name);
    });
});

test('after an error the next pull fetches only what is not here yet', async () => {
  await attempt(
    ({ layers }) => [
      { path: new RegExp(layers[1]!.digest), nth: [1, 2, 3, 4], fault: faults.cut(40_000) },
    ],
    async (one) => {
      const [, { digest }] = one.image.layers as [unknown, { digest: Digest }];
      await assertFails(one, 'UNAVAILABLE');
      assert.equal(partialOf(one.engine, digest), 160_000);
      const plan = await one.engine.plan(one.reference);
      assert.equal(plan.layers[1]?.have, 160_000);
      const before = one.proxy.sent(digest);
      await one.pull();
      await assertWhole(one);
      assert.equal(one.proxy.sent(digest) - before, one.image.layers[1]!.size - 160_000);
      assertFetchedOnce(one);
    },
  );
});

test('a partial download with a wrong byte is found out, and fetched once more', async () => {
  const first = ofLayer([faults.corrupt(1000), 1], [faults.cut(half), 1]);
  // How many requests an attempt takes depends on the connections that were kept.
  let broken = true;
  const rest = ofLayer([faults.cut(0), Array.from({ length: 20 }, (_, i) => 2 + i)]);
  await attempt(
    (image) => [...first(image), ...rest(image).map((rule) => ({ ...rule, when: () => broken }))],
    async (one) => {
      await assertFails(one, 'UNAVAILABLE');
      broken = false;
      assert.equal(partialOf(one.engine, one.image.layers[1]!.digest), half);
      await one.pull();
      await assertWhole(one);
    },
  );
});

test('an image that is here is asked for once, and nothing of it is fetched again', async () => {
  await attempt(
    () => [],
    async (one) => {
      await one.pull();
      const before = one.proxy.requests.length;
      await one.pull();
      assert.deepEqual(
        one.proxy.requests.slice(before).map(({ method }) => method),
        ['HEAD'],
      );
      assertFetchedOnce(one);
    },
  );
});

test('layers that another image brought are not fetched again', async () => {
  await attempt(
    () => [],
    async (one) => {
      await one.pull();
      const there = await origin;
      const more = [...one.layers, tree({ 'etc/more': file('more') })];
      const image = await there.image('faults/more', more);
      await using proxy = await there.proxy();
      await one.engine.pull(`${proxy.host}/faults/more`);
      assert.deepEqual(
        image.layers.map(({ digest }) => proxy.sent(digest)),
        [0, 0, 0, image.layers[3]!.size],
      );
    },
  );
});

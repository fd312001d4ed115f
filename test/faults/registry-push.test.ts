/** Pushes over a bad network: the registry has exactly the blob, or there is an error with a code. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdirSync, statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openTemporaryRegistry, type TemporaryRegistry } from '../../src/distribution/temporary.ts';
import { type ErrorCode, isCode } from '../../src/errors.ts';
import type { Reopenable } from '../../src/io/bytes.ts';
import type { Descriptor } from '../../src/oci/descriptor.ts';
import { sha256 } from '../../src/oci/digest.ts';
import { OCI_LAYER } from '../../src/oci/media-type.ts';
import { parseReference } from '../../src/oci/reference.ts';
import { openRegistry, type Repository } from '../../src/registry/registry.ts';
import {
  Cut,
  type Fault,
  type FaultProxy,
  type FaultRule,
  openFaultProxy,
} from '../../src/testing/fault-proxy.ts';
import { cut, cutUpload, delay, html, respond, tooManyRequests } from '../../src/testing/faults.ts';

const SIZE = 2_000_000;
const blob = randomBytes(SIZE);
const target: Descriptor = { mediaType: OCI_LAYER, digest: sha256(blob), size: SIZE };
const token = 'a-token-for-tests';
const UPLOADS = /\/blobs\/uploads\//;

interface Bench extends AsyncDisposable {
  readonly registry: TemporaryRegistry;
  readonly proxy: FaultProxy;
  readonly repository: Repository;
}

async function openBench(rules: readonly FaultRule[]): Promise<Bench> {
  await using stack = new AsyncDisposableStack();
  const registry = stack.use(await openTemporaryRegistry({ writable: { token } }));
  const proxy = stack.use(await openFaultProxy({ upstream: registry.url, rules }));
  const client = stack.use(
    openRegistry({
      retry: { attempts: 4, delay: 5, maxDelay: 1500 },
      timeouts: { idle: 10_000, connect: 10_000 },
      credentials: { get: async () => ({ username: 'me', secret: token }) },
    }),
  );
  const repository = client.repository(parseReference(`${proxy.host}/a/b`));
  const all = stack.move();
  return { registry, proxy, repository, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

/** Opened anywhere, in pieces, as a file is. */
const content: Reopenable = async function* (offset) {
  for (let at = offset; at < SIZE; at += 65_536) yield blob.subarray(at, at + 65_536);
};

const first = (method: string, fault: FaultRule['fault']): FaultRule => ({
  path: UPLOADS,
  method,
  nth: 1,
  fault,
});

/** A fault that befell nothing proves nothing. */
function assertBefell({ proxy }: Bench, rules: readonly FaultRule[]): void {
  const befell = new Set(proxy.requests.flatMap((request) => request.faults));
  for (const { fault } of rules) assert.ok(befell.has(fault.name), fault.name);
}

describe('a blob is stored, byte for byte, in spite of', () => {
  for (const [title, rules] of [
    ['no fault', []],
    ['a connection that drops in the middle of the upload', [first('PUT', cutUpload(700_000))]],
    ['a connection that drops before the upload', [first('PUT', cutUpload(0))]],
    [
      'connections that drop again and again',
      [
        first('PUT', cutUpload(600_000)),
        { path: UPLOADS, method: 'PATCH', nth: [1, 2], fault: cutUpload(600_000) },
      ],
    ],
    ['an answer that is lost', [first('PUT', cut(0, true))]],
    ['an error when the upload starts', [first('POST', respond(500))]],
    ['too many requests', [first('POST', tooManyRequests('1'))]],
    ['an upload that the registry forgot', [first('PUT', respond(404))]],
    ['a slow registry', [{ path: UPLOADS, fault: delay(50) }]],
  ] as const satisfies readonly (readonly [string, readonly FaultRule[]])[])
    test(title, { timeout: 120_000 }, async () => {
      await using bench = await openBench(rules);
      await bench.repository.push(target, content);
      assertBefell(bench, rules);
      const stored = await bench.registry.backend.blob('a/b', target.digest);
      assert.ok(stored);
      assert.ok((await readFile(stored.path)).equals(blob));
    });
});

describe('a blob is not stored, and the error has a code, because of', () => {
  for (const [title, rules, code] of [
    ['a registry that stays broken', [{ path: UPLOADS, fault: respond(500) }], 'UNAVAILABLE'],
    ['a web page', [{ path: UPLOADS, fault: html() }], 'UNAVAILABLE'],
    ['a refusal', [{ path: UPLOADS, fault: respond(403) }], 'PERMISSION_DENIED'],
    [
      'connections that never bring anything',
      [{ path: UPLOADS, method: 'PUT', fault: cutUpload(0) }],
      'UNAVAILABLE',
    ],
  ] as const satisfies readonly (readonly [string, readonly FaultRule[], ErrorCode])[])
    test(title, { timeout: 120_000 }, async () => {
      await using bench = await openBench(rules);
      await assert.rejects(bench.repository.push(target, content), (error) => isCode(error, code));
      assertBefell(bench, rules);
      assert.equal(await bench.registry.backend.blob('a/b', target.digest), undefined);
    });
});

test('bytes that are not the blob’s are never stored', async () => {
  await using bench = await openBench([]);
  const wrong: Reopenable = async function* (offset) {
    yield Buffer.alloc(SIZE - offset);
  };
  await assert.rejects(bench.repository.push(target, wrong));
  assert.equal(await bench.registry.backend.blob('a/b', target.digest), undefined);
});

/** Cuts the connection when the registry has written `bytes` bytes: what is on its way then may get lost. */
const cutWhenWritten = (bytes: number, { backend }: TemporaryRegistry): Fault => ({
  name: 'cutWhenWritten',
  async *upload(body) {
    let left = bytes + bytes / 2;
    for await (const chunk of body) {
      yield chunk;
      left -= chunk.byteLength;
      if (left <= 0) break;
    }
    const { uploads } = backend.writer;
    const written = (): number =>
      readdirSync(uploads).reduce((sum, name) => sum + statSync(join(uploads, name)).size, 0);
    while (written() < bytes) await sleep(5);
    throw new Cut();
  },
});

test('an upload that was cut off does not send again what arrived', async () => {
  const rules: FaultRule[] = [];
  await using bench = await openBench(rules);
  rules.push(first('PUT', cutWhenWritten(1_000_000, bench.registry)));
  await bench.repository.push(target, content);
  assertBefell(bench, rules);
  const resumed = bench.proxy.requests.find(({ method }) => method === 'PATCH');
  const from = Number(/^(\d+)-/.exec(String(resumed?.headers['content-range']))?.[1]);
  assert.ok(from >= 1_000_000, `resumed at ${from}`);
});

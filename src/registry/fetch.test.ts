import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { describe, test } from 'node:test';
import type { Descriptor } from '../oci/descriptor.ts';
import { sha256 } from '../oci/digest.ts';
import { OCI_LAYER } from '../oci/media-type.ts';
import { parseReference } from '../oci/reference.ts';
import { type Answer, serve } from '../testing/serve.ts';
import type { RegistryOptions } from './options.ts';
import { openRegistry } from './registry.ts';

const BLOB = randomBytes(400_000);
const target: Descriptor = { mediaType: OCI_LAYER, digest: sha256(BLOB), size: BLOB.byteLength };
const QUICK: RegistryOptions = { retry: { attempts: 4, delay: 5, maxDelay: 500 } };
/** For servers that are not going to answer. */
const IMPATIENT: RegistryOptions = { timeouts: { idle: 300 } };

const firstByte = ({ headers }: IncomingMessage): number =>
  Number(/^bytes=(\d+)-$/.exec(headers.range ?? 'bytes=0-')?.[1]);

/** As a good registry answers; `end` is where the connection breaks. */
function send(request: IncomingMessage, response: ServerResponse, end = BLOB.byteLength): void {
  const from = firstByte(request);
  const headers = { 'content-length': BLOB.byteLength - from };
  const range = { 'content-range': `bytes ${from}-${BLOB.byteLength - 1}/${BLOB.byteLength}` };
  response.writeHead(from > 0 ? 206 : 200, { ...headers, ...(from > 0 && range) });
  response.write(BLOB.subarray(from, end), () =>
    end === BLOB.byteLength ? response.end() : response.destroy(),
  );
}

interface Fetched {
  readonly bytes: Buffer;
  /** `Range` of each request for the blob. */
  readonly ranges: readonly (string | undefined)[];
  readonly retries: readonly string[];
}

type Fetching = RegistryOptions & { readonly offset?: number };

async function fetchedBy(
  lend: boolean,
  answer: Answer,
  { offset = 0, ...options }: Fetching = {},
): Promise<Fetched> {
  await using server = await serve((request, response) =>
    request.url === '/v2/' ? void response.end() : answer(request, response),
  );
  const retries: string[] = [];
  const onRetry = ({ reason }: { readonly reason: string }): void => void retries.push(reason);
  await using registry = openRegistry({ ...QUICK, ...options, onRetry });
  const repository = registry.repository(parseReference(`${server.host}/a/b`));
  const chunks = repository.fetch(target, { offset, lend });
  const bytes = Buffer.concat(await Array.fromAsync(chunks, (chunk) => Buffer.from(chunk)));
  const asked = server.requests.filter((request) => request.target.includes('/blobs/'));
  return { bytes, retries, ranges: asked.map(({ headers }) => headers.range) };
}

const REASON = new Error('enough');

const LIES: readonly (readonly [string, Answer])[] = [
  ['longer by its Content-Length', (_, response) => void response.end(Buffer.concat([BLOB, BLOB]))],
  [
    'longer without saying so',
    (_, response) => {
      response.write(BLOB);
      response.end('x');
    },
  ],
  [
    'of another size by its Content-Range',
    (_, response) =>
      void response
        .writeHead(206, { 'content-range': 'bytes 10-20/21' })
        .end(BLOB.subarray(10, 21)),
  ],
  ['too short to have the byte asked for', (_, response) => void response.writeHead(416).end()],
  [
    'another one by its Docker-Content-Digest',
    (_, response) =>
      void response.writeHead(200, { 'docker-content-digest': sha256('other') }).end(BLOB),
  ],
];

for (const lend of [false, true])
  describe(`a fetch whose chunks are ${lend ? 'lent' : 'kept'}`, () => {
    const fetched = (answer: Answer, options?: Fetching): Promise<Fetched> =>
      fetchedBy(lend, answer, options);

    test('a blob comes in one request', async () => {
      const { bytes, ranges } = await fetched((request, response) => send(request, response));
      assert.ok(bytes.equals(BLOB));
      assert.deepEqual(ranges, [undefined]);
    });

    test('a connection that drops is resumed where it stopped', async () => {
      let times = 0;
      const { bytes, ranges, retries } = await fetched((request, response) =>
        send(request, response, [100_000, 250_000][times++]),
      );
      assert.ok(bytes.equals(BLOB));
      assert.equal(ranges.length, 3);
      assert.match(ranges[1]!, /^bytes=\d+-$/);
      assert.equal(retries.length, 2);
    });

    test('an answer that ends early but politely is resumed as well', async () => {
      const { bytes, ranges } = await fetched((request, response) => {
        if (firstByte(request) > 0) return send(request, response);
        response.writeHead(200, { 'content-length': 1000 }).end(BLOB.subarray(0, 1000));
      });
      assert.ok(bytes.equals(BLOB));
      assert.deepEqual(ranges, [undefined, 'bytes=1000-']);
    });

    test('a fetch may begin in the middle', async () => {
      const { bytes, ranges } = await fetched((request, response) => send(request, response), {
        offset: 123_456,
      });
      assert.ok(bytes.equals(BLOB.subarray(123_456)));
      assert.deepEqual(ranges, ['bytes=123456-']);
    });

    test('what is complete is not asked for', async () => {
      const { bytes, ranges } = await fetched(() => assert.fail(), { offset: BLOB.byteLength });
      assert.deepEqual([bytes.byteLength, ranges.length], [0, 0]);
    });

    test('a server that ignores Range has its first bytes skipped', async () => {
      const { bytes } = await fetched((_, response) => void response.end(BLOB), {
        offset: 333_333,
      });
      assert.ok(bytes.equals(BLOB.subarray(333_333)));
    });

    test('a server that begins earlier than asked has the surplus skipped', async () => {
      const { bytes } = await fetched(
        (_, response) => {
          const range = { 'content-range': `bytes 1000-399999/${BLOB.byteLength}` };
          response.writeHead(206, range).end(BLOB.subarray(1000));
        },
        { offset: 5000 },
      );
      assert.ok(bytes.equals(BLOB.subarray(5000)));
    });

    test('progress resets the count of attempts, so that a bad line gets there in the end', async () => {
      const { bytes, ranges } = await fetched((request, response) =>
        send(request, response, Math.min(firstByte(request) + 70_000, BLOB.byteLength)),
      );
      assert.ok(bytes.equals(BLOB));
      assert.equal(ranges.length, 6);
    });

    test('a server that sends a byte and drops does not keep us forever', async () => {
      let times = 0;
      const work = fetched((request, response) => {
        times++;
        send(request, response, firstByte(request) + 1);
      });
      await assert.rejects(work, { code: 'UNAVAILABLE' });
      assert.equal(times, 4);
    });

    test('a server that stops in the middle is left after the idle time', async () => {
      let times = 0;
      const { bytes } = await fetched((request, response) => {
        if (times++ > 0) return send(request, response);
        response.writeHead(200, { 'content-length': BLOB.byteLength });
        response.write(BLOB.subarray(0, 200_000));
      }, IMPATIENT);
      assert.ok(bytes.equals(BLOB));
    });

    test('a server that never answers is an error, not a hang', async () => {
      const work = fetched(() => undefined, { ...IMPATIENT, retry: { attempts: 1 } });
      await assert.rejects(work, { code: 'UNAVAILABLE' });
    });

    test('a reader who takes his time does not look like a stalled server', async () => {
      const large = Buffer.alloc(8 * 1024 * 1024, 1);
      await using server = await serve((request, response) =>
        request.url === '/v2/' ? void response.end() : void response.end(large),
      );
      await using registry = openRegistry({
        ...QUICK,
        timeouts: { idle: 1000 },
        retry: { attempts: 1 },
      });
      const { promise, resolve } = Promise.withResolvers<void>();
      setTimeout(resolve, 2500);
      let length = 0;
      const size = large.byteLength;
      const descriptor = { mediaType: OCI_LAYER, digest: sha256(large), size };
      const repository = registry.repository(parseReference(`${server.host}/a/b`));
      for await (const chunk of repository.fetch(descriptor, { lend })) {
        if (length === 0) await promise;
        length += chunk.byteLength;
      }
      assert.equal(length, size);
    });

    for (const [what, answer] of LIES)
      test(`a blob that is ${what} is DATA_LOSS, at once`, async () => {
        await using server = await serve((request, response) =>
          request.url === '/v2/' ? void response.end() : answer(request, response),
        );
        await using registry = openRegistry(QUICK);
        const repository = registry.repository(parseReference(`${server.host}/a/b`));
        let length = 0;
        const read = async (): Promise<void> => {
          for await (const chunk of repository.fetch(target, { offset: 10, lend }))
            length += chunk.byteLength;
        };
        await assert.rejects(read(), { code: 'DATA_LOSS' });
        assert.ok(length <= target.size - 10);
        assert.equal(server.requests.length, 2);
      });

    test('a range that begins too late is refused', async () => {
      const work = fetched(
        (_, response) =>
          void response.writeHead(206, { 'content-range': 'bytes 20-29/400000' }).end(),
        { offset: 10 },
      );
      await assert.rejects(work, { code: 'UNAVAILABLE' });
    });

    test('a web page in place of a blob is called by its name', async () => {
      const work = fetched((_, response) => {
        response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end('<html>log in');
      });
      await assert.rejects(work, { code: 'UNAVAILABLE', message: /web page/ });
    });

    test('an abort ends the fetch with its reason and leaves no connection working', async () => {
      const closed = Promise.withResolvers<void>();
      await using server = await serve((request, response) => {
        if (request.url === '/v2/') {
          response.end();
          return;
        }
        response.once('close', () => closed.resolve());
        response.write(BLOB.subarray(0, 1000));
      });
      await using registry = openRegistry();
      const stop = new AbortController();
      const repository = registry.repository(parseReference(`${server.host}/a/b`));
      const read = async (): Promise<void> => {
        for await (const _ of repository.fetch(target, { signal: stop.signal, lend }))
          stop.abort(REASON);
      };
      await assert.rejects(read(), REASON);
      await closed.promise;
    });

    test('an abort ends a wait between two attempts', async () => {
      await using server = await serve((_, response) => void response.writeHead(503).end());
      const stop = new AbortController();
      await using registry = openRegistry({
        retry: { delay: 100_000, maxDelay: 100_000 },
        onRetry: () => stop.abort(REASON),
      });
      const repository = registry.repository(parseReference(`${server.host}/a/b`));
      await assert.rejects(
        Array.fromAsync(repository.fetch(target, { signal: stop.signal, lend })),
        REASON,
      );
    });

    test('a reader who leaves early frees the connection', async () => {
      const closed = Promise.withResolvers<void>();
      await using server = await serve((request, response) => {
        if (request.url === '/v2/') {
          response.end();
          return;
        }
        response.once('close', () => closed.resolve());
        response
          .writeHead(200, { 'content-length': BLOB.byteLength })
          .write(BLOB.subarray(0, 1000));
      });
      await using registry = openRegistry();
      for await (const _ of registry
        .repository(parseReference(`${server.host}/a/b`))
        .fetch(target, { lend }))
        break;
      await closed.promise;
    });

    test('a foreign layer is fetched from its URLs, without the credentials of the registry', async () => {
      await using elsewhere = await serve((request, response) => send(request, response));
      await using server = await serve((request, response) => {
        if (request.headers.authorization !== undefined) response.writeHead(404).end();
        else response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end();
      });
      const get = async (): Promise<{ username: string; secret: string }> => ({
        username: 'u',
        secret: 's',
      });
      await using registry = openRegistry({ ...QUICK, credentials: { get } });
      const foreign: Descriptor = {
        ...target,
        mediaType: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
        urls: [`${elsewhere.url}/layer`],
      };
      const repository = registry.repository(parseReference(`${server.host}/a/b`));
      assert.ok(
        Buffer.concat(
          await Array.fromAsync(repository.fetch(foreign, { lend }), (chunk) => Buffer.from(chunk)),
        ).equals(BLOB),
      );
      assert.equal(elsewhere.requests[0]!.headers.authorization, undefined);
      await assert.rejects(
        Array.fromAsync(repository.fetch({ ...target, urls: foreign.urls }, { lend })),
        {
          code: 'NOT_FOUND',
        },
      );
    });
  });

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import type { Sink, Source, Tags } from '../content/content.ts';
import { isCode } from '../errors.ts';
import type { Bytes } from '../io/bytes.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { OCI_LAYER } from '../oci/media-type.ts';

/** How a suite gets at what it tests: anew and empty for every test. */
export interface ContentSuite<Store> {
  readonly name: string;
  /** Reason to skip on this machine. */
  readonly skip?: string | false;
  open(): Promise<Opened<Store>>;
}

export interface Opened<Store> extends AsyncDisposable {
  readonly store: Store;
}

/** What every {@link Source} must do that is also a {@link Sink}, and every such sink. */
export function testSink(suite: ContentSuite<Source & Sink>): void {
  const check = checker(suite);
  describe(`sink ${suite.name}`, () => {
    check('what was pushed is there, and comes back from any offset', async (store) => {
      const [target, bytes] = blob('x'.repeat(100_000));
      assert.equal(await store.has(target), false);
      await store.push(target, reopenable(bytes));
      assert.equal(await store.has(target), true);
      for (const offset of [0, 1, 65_536, 99_999, 100_000])
        assert.deepEqual(await read(store.fetch(target, { offset })), bytes.subarray(offset));
    });

    check('content may be empty, and have a sha512 digest', async (store) => {
      for (const [target, bytes] of [blob(''), blob('abc', 'sha512')]) {
        await store.push(target, reopenable(bytes));
        assert.equal(await store.has(target), true);
        assert.deepEqual(await read(store.fetch(target)), bytes);
      }
    });

    check('pushing again changes nothing', async (store) => {
      const [target, bytes] = blob('again');
      await store.push(target, reopenable(bytes));
      await store.push(target, reopenable(bytes));
      assert.deepEqual(await read(store.fetch(target)), bytes);
    });

    for (const [what, wrong] of [
      ['other', 'Right'],
      ['shorter', 'righ'],
      ['longer', 'right!'],
      ['no', ''],
    ] as const)
      check(`${what} content than was promised never becomes visible`, async (store) => {
        const [target, bytes] = blob('right');
        await assert.rejects(store.push(target, reopenable(Buffer.from(wrong))), dataLoss);
        assert.equal(await store.has(target), false);
        await assert.rejects(read(store.fetch(target)), (error) => isCode(error, 'NOT_FOUND'));
        await store.push(target, reopenable(bytes));
        assert.deepEqual(await read(store.fetch(target)), bytes);
      });

    check(
      'a source that breaks off leaves nothing visible, and may be tried again',
      async (store) => {
        const [target, bytes] = blob('y'.repeat(200_000));
        const broken = new Error('the wire broke');
        const breaking = async function* (offset: number): Bytes {
          yield bytes.subarray(offset, 150_000);
          throw broken;
        };
        await assert.rejects(store.push(target, breaking), broken);
        assert.equal(await store.has(target), false);
        await store.push(target, reopenable(bytes));
        assert.deepEqual(await read(store.fetch(target)), bytes);
      },
    );

    check('an aborted push rejects with the reason, and leaves nothing visible', async (store) => {
      const [target, bytes] = blob('z'.repeat(1000));
      const [stop, reason] = [new AbortController(), new Error('enough')];
      const slow = async function* (): Bytes {
        yield bytes.subarray(0, 500);
        stop.abort(reason);
        yield bytes.subarray(500);
      };
      await assert.rejects(store.push(target, slow, { signal: stop.signal }), reason);
      assert.equal(await store.has(target), false);
      await assert.rejects(store.has(target, { signal: stop.signal }), reason);
      await assert.rejects(read(store.fetch(target, { signal: stop.signal })), reason);
    });

    check('pushing one content several times at once succeeds for all', async (store) => {
      const [target, bytes] = blob('w'.repeat(300_000));
      await Promise.all(Array.from({ length: 4 }, () => store.push(target, reopenable(bytes))));
      assert.deepEqual(await read(store.fetch(target)), bytes);
    });

    check('what was never pushed is not found', async (store) => {
      const [target] = blob('never');
      await assert.rejects(read(store.fetch(target)), (error) => isCode(error, 'NOT_FOUND'));
    });
  });
}

/** What everything that names content must do. */
export function testTags(suite: ContentSuite<Sink & Tags>): void {
  const check = checker(suite);
  describe(`tags of ${suite.name}`, () => {
    check('a name resolves to what it was given to last', async (store) => {
      await assert.rejects(store.resolve('a:1'), (error) => isCode(error, 'NOT_FOUND'));
      for (const text of ['one', 'two']) {
        const [target, bytes] = blob(text);
        await store.push(target, reopenable(bytes));
        await store.tag('a:1', target);
        assert.equal((await store.resolve('a:1')).digest, target.digest);
      }
      await assert.rejects(store.resolve('a:2'), (error) => isCode(error, 'NOT_FOUND'));
    });

    check('names do not disturb each other, given at once or not', async (store) => {
      const [target, bytes] = blob('one');
      await store.push(target, reopenable(bytes));
      const names = Array.from({ length: 8 }, (_, index) => `a:${index}`);
      await Promise.all(names.map((name) => store.tag(name, target)));
      for (const name of names) assert.equal((await store.resolve(name)).size, target.size);
    });

    check('what is not there cannot be named', async (store) => {
      const [target] = blob('never');
      await assert.rejects(store.tag('a:1', target), (error) => isCode(error, 'NOT_FOUND'));
      await assert.rejects(store.resolve('a:1'), (error) => isCode(error, 'NOT_FOUND'));
    });
  });
}

const dataLoss = (error: unknown): boolean => isCode(error, 'DATA_LOSS');

function checker<Store>(suite: ContentSuite<Store>) {
  return (title: string, run: (store: Store) => Promise<void>): void => {
    test(title, { skip: suite.skip ?? false }, async () => {
      await using opened = await suite.open();
      await run(opened.store);
    });
  };
}

/** Content and its descriptor. */
export function blob(
  text: string,
  algorithm: 'sha256' | 'sha512' = 'sha256',
): [target: Descriptor, bytes: Buffer] {
  const bytes = Buffer.from(text);
  const hex = createHash(algorithm).update(bytes).digest('hex');
  return [{ mediaType: OCI_LAYER, digest: `${algorithm}:${hex}`, size: bytes.length }, bytes];
}

/** Bytes in chunks, from anywhere. */
export const reopenable = (bytes: Uint8Array, chunk = 65_536): ((offset: number) => Bytes) =>
  async function* (offset) {
    for (let at = offset; at < bytes.length; at += chunk) yield bytes.subarray(at, at + chunk);
  };

export const read = async (bytes: Bytes): Promise<Buffer> =>
  Buffer.concat(await Array.fromAsync(bytes));

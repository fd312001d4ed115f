import assert from 'node:assert/strict';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { ContentStore } from '../content/content.ts';
import { isCode } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { blob, read, reopenable } from './content.ts';

export interface ContentStoreSuite {
  readonly name: string;
  readonly skip?: string | false;
  /** Opens the store at `root`, making it if there is none. */
  open(root: string): Promise<OpenedStore>;
}

export interface OpenedStore extends AsyncDisposable {
  readonly store: ContentStore;
  readonly transaction: <T>(body: () => T) => T;
}

/** What a store of blobs must do beyond being a source and a sink. */
export function testContentStore(suite: ContentStoreSuite): void {
  const check = (
    title: string,
    run: (opened: OpenedStore, reopen: () => Promise<OpenedStore>) => Promise<void>,
  ): void => {
    test(title, { skip: suite.skip ?? false }, async () => {
      await using dir = await mkdtempDisposable(join(tmpdir(), 'mica-content-'));
      const open = (): Promise<OpenedStore> => suite.open(join(dir.path, 'store'));
      await using opened = await open();
      await run(opened, open);
    });
  };
  const ingest = async (store: ContentStore, target: Descriptor) => {
    const found = await store.openIngest(target);
    assert.ok(found);
    return found;
  };

  describe(`content store ${suite.name}`, () => {
    check(
      'what a download got survives it, and the next one goes on from there',
      async ({ store }) => {
        const [target, bytes] = blob('r'.repeat(1000));
        {
          await using first = await ingest(store, target);
          first.write(bytes.subarray(0, 400));
        }
        assert.equal(await store.has(target), false);
        const [partial] = await Array.fromAsync(store.partials());
        assert.deepEqual(
          [partial?.digest, partial?.size, partial?.active],
          [target.digest, 400, false],
        );
        await using second = await ingest(store, target);
        assert.equal(second.offset, 400);
        second.write(bytes.subarray(400));
        second.complete();
        assert.deepEqual(await read(store.fetch(target)), bytes);
        assert.deepEqual(await Array.fromAsync(store.partials()), []);
      },
    );

    check('push asks its source only for what is missing', async ({ store }) => {
      const [target, bytes] = blob('q'.repeat(1000));
      {
        await using first = await ingest(store, target);
        first.write(bytes.subarray(0, 400));
      }
      const asked: number[] = [];
      await store.push(target, (offset) => {
        asked.push(offset);
        return reopenable(bytes)(offset);
      });
      assert.deepEqual(asked, [400]);
      assert.deepEqual(await read(store.fetch(target)), bytes);
    });

    check(
      'a partial download that proves wrong is fetched once more, from the beginning',
      async ({ store }) => {
        const [target, bytes] = blob('p'.repeat(1000));
        {
          await using first = await ingest(store, target);
          first.write(Buffer.alloc(400));
        }
        const asked: number[] = [];
        await store.push(target, (offset) => {
          asked.push(offset);
          return reopenable(bytes)(offset);
        });
        assert.deepEqual(asked, [400, 0]);
        assert.deepEqual(await read(store.fetch(target)), bytes);
      },
    );

    check(
      'an ingest takes no more than was announced, and completes only when all is there',
      async ({ store }) => {
        const [target, bytes] = blob('0123456789');
        await using open = await ingest(store, target);
        assert.throws(
          () => open.complete(),
          (error) => isCode(error, 'DATA_LOSS'),
        );
        open.write(bytes.subarray(0, 9));
        assert.throws(
          () => open.write(bytes.subarray(0, 2)),
          (error) => isCode(error, 'DATA_LOSS'),
        );
        assert.equal(open.offset, 9);
        open.reset();
        assert.equal(open.offset, 0);
        open.write(bytes);
        open.complete();
        assert.equal(await store.has(target), true);
      },
    );

    check(
      'who comes second waits, sees the download grow, and gets the blob without fetching',
      async ({ store }) => {
        const [target, bytes] = blob('s'.repeat(1000));
        const first = await ingest(store, target);
        const seen = Promise.withResolvers<void>();
        const sizes: number[] = [];
        const second = store.openIngest(target, {
          onWait: (size) => {
            sizes.push(size);
            if (size === 500) seen.resolve();
          },
        });
        first.write(bytes.subarray(0, 500));
        await seen.promise;
        assert.equal((await Array.fromAsync(store.partials()))[0]?.active, true);
        assert.equal(await store.discard(target.digest), false);
        first.write(bytes.subarray(500));
        first.complete();
        assert.equal(await second, undefined);
        assert.deepEqual(
          sizes,
          sizes.toSorted((a, b) => a - b),
        );
      },
    );

    check('who comes second takes over where the first gave up', async ({ store }) => {
      const [target, bytes] = blob('t'.repeat(1000));
      const first = await ingest(store, target);
      const second = store.openIngest(target);
      first.write(bytes.subarray(0, 500));
      await first[Symbol.asyncDispose]();
      await using taken = (await second)!;
      assert.equal(taken.offset, 500);
    });

    check('waiting can be aborted', async ({ store }) => {
      const [target] = blob('u');
      await using _ = await ingest(store, target);
      const [stop, reason] = [new AbortController(), new Error('enough')];
      const waiting = store.openIngest(target, { signal: stop.signal });
      stop.abort(reason);
      await assert.rejects(waiting, reason);
    });

    check('a partial download can be discarded', async ({ store }) => {
      const [target, bytes] = blob('v'.repeat(10));
      {
        await using open = await ingest(store, target);
        open.write(bytes.subarray(0, 5));
      }
      assert.equal(await store.discard(target.digest), true);
      assert.deepEqual(await Array.fromAsync(store.partials()), []);
      assert.equal(await store.discard(target.digest), true);
    });

    check('bytes that nobody described are stored and described', async ({ store }) => {
      const [target, bytes] = blob('unknown before');
      const told = await store.ingest(reopenable(bytes)(0), target.mediaType);
      assert.deepEqual(told, target);
      assert.deepEqual(await store.ingest(reopenable(bytes)(0), target.mediaType), target);
      assert.deepEqual(await read(store.fetch(told)), bytes);
      assert.deepEqual(await Array.fromAsync(store.partials()), []);
    });

    check('a store opens again with what has arrived', async ({ store }, reopen) => {
      const [target, bytes] = blob('stays');
      await store.push(target, reopenable(bytes));
      await using again = await reopen();
      assert.equal(await again.store.has(target), true);
      assert.deepEqual(
        (await Array.fromAsync(again.store.list())).map(({ digest }) => digest),
        [target.digest],
      );
    });

    check('what is not there cannot become ready', async ({ store, transaction }) => {
      const [present, bytes] = blob('here');
      const [absent] = blob('not here');
      await store.push(present, reopenable(bytes));
      transaction(() => store.ready([present.digest]));
      assert.throws(
        () => transaction(() => store.ready([present.digest, absent.digest])),
        (error) => isCode(error, 'NOT_FOUND'),
      );
    });

    check(
      'a condemned blob is gone at once for readers, and for good after delete',
      async ({ store, transaction }) => {
        const [target, bytes] = blob('doomed');
        await store.push(target, reopenable(bytes));
        transaction(() => store.ready([target.digest]));
        transaction(() => store.condemn([target.digest]));
        assert.equal(await store.has(target), false);
        assert.throws(() => transaction(() => store.ready([target.digest])));
        assert.equal(await store.delete(target.digest), bytes.length);
        assert.equal(await store.delete(target.digest), 0);
        assert.deepEqual(await Array.fromAsync(store.orphans()), []);
      },
    );

    check('a condemned blob that is pushed again stays', async ({ store, transaction }) => {
      const [target, bytes] = blob('comes back');
      await store.push(target, reopenable(bytes));
      transaction(() => store.condemn([target.digest]));
      await store.push(target, reopenable(bytes));
      assert.equal(await store.delete(target.digest), 0);
      assert.deepEqual(await read(store.fetch(target)), bytes);
    });

    check(
      'a removal that was cut short is finished when the store opens again',
      async ({ store, transaction }, reopen) => {
        const [target, bytes] = blob('half gone');
        await store.push(target, reopenable(bytes));
        transaction(() => store.condemn([target.digest]));
        await using again = await reopen();
        assert.deepEqual(await Array.fromAsync(again.store.orphans()), []);
        assert.equal(await again.store.has(target), false);
      },
    );

    check(
      'a collector may take what is ready and unused, not what just arrived',
      async ({ store, transaction }) => {
        const [fresh, freshBytes] = blob('fresh');
        const [old, oldBytes] = blob('old');
        const [used, usedBytes] = blob('used');
        await store.push(fresh, reopenable(freshBytes));
        await store.push(old, reopenable(oldBytes));
        await store.push(used, reopenable(usedBytes));
        transaction(() => store.ready([old.digest, used.digest]));
        const unused = transaction(() => store.unused(new Set([used.digest])));
        assert.deepEqual(unused, [{ digest: old.digest, size: old.size }]);
      },
    );
  });
}

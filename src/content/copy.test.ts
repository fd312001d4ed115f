import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isCode } from '../errors.ts';
import type { Abortable, Bytes, Reopenable } from '../io/bytes.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST } from '../oci/media-type.ts';
import type { FetchOptions } from './content.ts';
import { copy, type CopyEvent } from './copy.ts';
import { MemoryStore } from './memory-store.ts';

/** Remembers what was asked of it, and in what order. */
class Watched extends MemoryStore {
  readonly fetched: string[] = [];
  readonly pushed: string[] = [];
  running = 0;
  most = 0;

  override async *fetch(target: Descriptor, options?: FetchOptions): Bytes {
    this.fetched.push(target.digest);
    this.most = Math.max(this.most, ++this.running);
    try {
      await new Promise(setImmediate);
      yield* super.fetch(target, options);
    } finally {
      this.running--;
    }
  }

  override async push(target: Descriptor, content: Reopenable, options?: Abortable): Promise<void> {
    await super.push(target, content, options);
    this.pushed.push(target.digest);
  }
}

function image(store: MemoryStore, ...texts: string[]): { root: Descriptor; layers: Descriptor[] } {
  const config = store.put(OCI_CONFIG, '{}');
  const layers = texts.map((text) => store.put(OCI_LAYER, text));
  const manifest = { schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers };
  return { root: store.put(OCI_MANIFEST, JSON.stringify(manifest)), layers };
}

const index = (store: MemoryStore, ...manifests: Descriptor[]): Descriptor =>
  store.put(OCI_INDEX, JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests }));

test('children land before their manifest; a second copy moves nothing', async () => {
  const [from, to] = [new Watched(), new Watched()];
  const { root } = image(from, 'layer');
  await copy(from, to, root);
  assert.equal(to.pushed.at(-1), root.digest);
  assert.equal(to.pushed.length, 3);
  const events: CopyEvent[] = [];
  await copy(from, to, root, { onProgress: (event) => events.push(event) });
  assert.ok(events.length === 3 && events.every(({ type }) => type === 'exists'));
});

test('a corrupt layer never becomes visible, nor does its manifest', async () => {
  const [from, to] = [new MemoryStore(), new MemoryStore()];
  const { root, layers } = image(from, 'layer');
  const broken = new (class extends MemoryStore {
    override async *fetch(target: Descriptor, options?: FetchOptions): Bytes {
      if (target.digest === layers[0]!.digest) yield Buffer.from('lawyr');
      else yield* from.fetch(target, options);
    }
  })();
  await assert.rejects(copy(broken, to, root), (error) => isCode(error, 'DATA_LOSS'));
  assert.ok(!(await to.has(root)) && !(await to.has(layers[0]!)));
});

test('a child left out earlier arrives with the next copy', async () => {
  const [from, to] = [new MemoryStore(), new MemoryStore()];
  const { root, layers } = image(from, 'layer');
  await copy(from, to, root, { want: ({ digest }) => digest !== layers[0]!.digest });
  assert.ok((await to.has(root)) && !(await to.has(layers[0]!)));
  await copy(from, to, root);
  assert.ok(await to.has(layers[0]!));
});

test('what several manifests share is fetched once', async () => {
  const [from, to] = [new Watched(), new Watched()];
  const images = [image(from, 'base', 'a'), image(from, 'base', 'b'), image(from, 'base', 'base')];
  const root = index(from, ...images.map((each) => each.root));
  await copy(from, to, root);
  assert.equal(new Set(from.fetched).size, from.fetched.length);
  assert.equal(new Set(to.pushed).size, to.pushed.length);
  assert.equal(to.pushed.at(-1), root.digest);
});

test('the limit holds over the whole graph, not for each manifest', async () => {
  const [from, to] = [new Watched(), new Watched()];
  const roots = [1, 2, 3, 4].map((n) => image(from, `${n}a`, `${n}b`, `${n}c`).root);
  await copy(from, to, index(from, ...roots), { concurrency: 2 });
  assert.equal(from.most, 2);
});

test('progress counts bytes from where the sink asked for them', async () => {
  const [from, to] = [new MemoryStore(), new MemoryStore()];
  const target = from.put(OCI_LAYER, '0123456789');
  const resuming = new (class extends MemoryStore {
    override push(descriptor: Descriptor, content: Reopenable): Promise<void> {
      const head = Buffer.from('0123');
      return to.push(descriptor, async function* () {
        yield head;
        yield* content(head.length);
      });
    }
  })();
  const bytes: number[] = [];
  await copy(from, resuming, target, {
    onProgress: (event) => event.type === 'bytes' && bytes.push(event.bytes),
  });
  assert.deepEqual(bytes, [10]);
});

test('the first failure ends the whole copy, and nothing runs on', async () => {
  const [from, to] = [new Watched(), new Watched()];
  const good = image(from, 'a', 'b', 'c');
  const missing: Descriptor = { mediaType: OCI_LAYER, digest: `sha256:${'0'.repeat(64)}`, size: 1 };
  const bad = from.put(
    OCI_MANIFEST,
    JSON.stringify({ schemaVersion: 2, mediaType: OCI_MANIFEST, config: missing, layers: [] }),
  );
  const root = index(from, bad, good.root);
  await assert.rejects(copy(from, to, root), (error) => isCode(error, 'NOT_FOUND'));
  assert.equal(from.running, 0);
  assert.equal(await to.has(root), false);
});

test('an aborted copy rejects with the reason', async () => {
  const [from, to] = [new MemoryStore(), new MemoryStore()];
  const { root } = image(from, 'layer');
  const reason = new Error('enough');
  await assert.rejects(copy(from, to, root, { signal: AbortSignal.abort(reason) }), reason);
  const stop = new AbortController();
  const onProgress = (): void => stop.abort(reason);
  await assert.rejects(copy(from, to, root, { signal: stop.signal, onProgress }), reason);
  assert.equal(await to.has(root), false);
});

test('a document that lies about what it is, is too large or nests without end is refused', async () => {
  const store = new MemoryStore();
  const to = new MemoryStore();
  const both = store.put(OCI_MANIFEST, '{"schemaVersion":2,"manifests":[]}');
  await assert.rejects(copy(store, to, both), (error) => isCode(error, 'INVALID_ARGUMENT'));
  const large = { ...store.put(OCI_MANIFEST, '{}'), size: 5 * 1024 * 1024 };
  await assert.rejects(copy(store, to, large), (error) => isCode(error, 'RESOURCE_EXHAUSTED'));
  let deep = image(store, 'layer').root;
  for (let level = 0; level < 20; level++) deep = index(store, deep);
  await assert.rejects(copy(store, to, deep), (error) => isCode(error, 'INVALID_ARGUMENT'));
});

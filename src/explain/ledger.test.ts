import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { sha256, type DiffId, type Digest } from '../oci/digest.ts';
import { ledger, shares, type Inventory } from './ledger.ts';

const [A, B] = [sha256('image a'), sha256('image b')];
const diffId = (name: string): DiffId => sha256(name) as DiffId;

const blob = (name: string, bytes: number): Inventory['blobs'][number] => ({
  digest: sha256(name),
  bytes,
  kind: 'layer',
});

const STORE: Inventory = {
  images: [
    { id: A, references: ['a'], blobs: [sha256('base'), sha256('top')], directories: ['/1', '/2'] },
    { id: B, references: ['b'], blobs: [sha256('base')], directories: ['/1'] },
  ],
  blobs: [blob('base', 100), blob('top', 10), blob('orphan', 7)],
  layers: [
    { diffId: diffId('base'), directory: '/1', bytes: 300 },
    { diffId: diffId('top'), directory: '/2', bytes: 30 },
    { diffId: diffId('orphan'), directory: '/3', bytes: 20 },
  ],
  partials: [{ digest: sha256('partial'), bytes: 5, active: false }],
  containers: [{ id: 'c', name: 'web', image: A, bytes: 50 }],
  metadata: 1,
};

/** Up to four images over up to six blobs and layers, any of them used by any. */
const inventories: fc.Arbitrary<Inventory> = fc
  .record({
    sizes: fc.array(fc.nat(1000), { maxLength: 6 }),
    uses: fc.array(fc.array(fc.nat(7)), { maxLength: 4 }),
    metadata: fc.nat(100),
    held: fc.array(fc.nat(5)),
  })
  .map(({ sizes, uses, metadata, held }) => ({
    images: uses.map((parts, at) => ({
      id: sha256(`image ${at}`),
      references: [],
      blobs: parts.map((part) => sha256(String(part))),
      directories: parts.map(String),
    })),
    blobs: sizes.map((bytes, at) => blob(String(at), bytes)),
    layers: sizes.map((bytes, at) => ({
      diffId: diffId(String(at)),
      directory: String(at),
      bytes,
    })),
    partials: [],
    containers: sizes.map((bytes, at) => ({ id: String(at), name: String(at), image: A, bytes })),
    metadata,
    held: new Set(held.map(String)),
  }));

const sum = (all: readonly number[]): number => all.reduce((a, b) => a + b, 0);

describe('ledger', () => {
  test('what two images use is shared, what one uses is exclusive, what none uses can go', () => {
    const book = ledger(STORE);
    assert.equal(book.total, 523);
    assert.equal(book.reclaimable, 27);
    assert.deepEqual(
      book.images.map(({ total, exclusive, shared }) => [total, exclusive, shared]),
      [
        [440, 40, 400],
        [400, 0, 400],
      ],
    );
    assert.deepEqual(
      shares(book).map(({ images, bytes }) => [images.length, bytes]),
      [
        [2, 400],
        [1, 40],
        [0, 27],
      ],
    );
  });

  test('what a lease holds is neither reclaimable nor freed with its image', () => {
    const book = ledger({ ...STORE, held: new Set([sha256('orphan'), '/2']) });
    assert.equal(book.reclaimable, 20);
    assert.equal(book.images[0]?.exclusive, 10);
  });

  test('what is young goes later, and what a lease holds besides not even then', () => {
    const young = new Set([sha256('orphan'), '/3', '/2']);
    const book = ledger({ ...STORE, young });
    assert.deepEqual([book.reclaimable, book.reclaimableLater], [0, 27]);
    const held = ledger({ ...STORE, young, held: new Set(['/3']) });
    assert.deepEqual([held.reclaimable, held.reclaimableLater], [0, 7]);
  });

  test('a layer that an image names twice counts once', () => {
    const twice = { id: A, references: [], blobs: [sha256('x'), sha256('x')], directories: [] };
    const book = ledger({ ...STORE, images: [twice], blobs: [blob('x', 9)], layers: [] });
    assert.deepEqual([book.images[0]?.total, book.images[0]?.exclusive], [9, 9]);
  });

  test('removing an image makes exactly its exclusive bytes reclaimable', () => {
    fc.assert(
      fc.property(inventories, fc.nat(3), (inventory, at) => {
        const gone = inventory.images[at];
        if (!gone) return;
        const images = inventory.images.filter((image) => image !== gone);
        const before = ledger(inventory);
        const after = ledger({ ...inventory, images });
        const exclusive = before.images.find(({ id }) => id === gone.id)!.exclusive;
        assert.equal(after.reclaimable - before.reclaimable, exclusive);
      }),
    );
  });

  test('every byte is attributed exactly once', () => {
    fc.assert(
      fc.property(inventories, (inventory) => {
        const book = ledger(inventory);
        const all =
          sum([...shares(book), ...book.containers].map(({ bytes }) => bytes)) + book.metadata;
        assert.equal(all, book.total);
      }),
    );
  });

  test('blobs that an image names and the store lacks cost nothing', () => {
    const blobs: readonly Digest[] = [sha256('elsewhere')];
    const book = ledger({ ...STORE, images: [{ id: A, references: [], blobs, directories: [] }] });
    assert.equal(book.images[0]?.total, 0);
  });
});

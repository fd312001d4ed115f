import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { MicaError } from '../errors.ts';
import { openIndex } from '../erofs/read.ts';
import { packLayer } from '../testing/pack.ts';
import * as t from '../testing/tree.ts';
import { openUnion, type UnionLayer } from './union.ts';

const SAMPLE = packLayer(
  t.tree({
    'a/b/c': t.file('content', { xattrs: { 'user.note': 'x' } }),
    'a/b/d': t.hardlink('a/b/c'),
    'a/link': t.link('../a/b'),
    'a/gone': t.whiteout(),
    o: t.dir({ opaque: true }),
    'o/s': t.sparse(5000, { 1024: 'data' }),
  }),
);
const IMAGE = Buffer.from(SAMPLE.index);

/** Everything one can ask of a tree. */
async function interrogate(layers: readonly UnionLayer[]): Promise<void> {
  await using tree = openUnion(layers);
  const paths: Uint8Array[] = [];
  tree.survey(({ raw }) => paths.push(raw));
  for (const { raw } of tree.walk()) paths.push(raw);
  for (const path of paths) {
    tree.history(path);
    if (tree.stat(path).type === 'file') await tree.readFile(path);
  }
}

test('an index with flipped bytes gives an answer or a coded error, in finite time', async () => {
  const change = fc.record({ at: fc.nat(IMAGE.length - 1), to: fc.nat(255) });
  const broken = fc.array(change, { minLength: 1, maxLength: 8 }).map((changes) => {
    const image = Buffer.from(IMAGE);
    for (const { at, to } of changes) image[at] = to;
    return { index: image, data: SAMPLE.data };
  });
  await fc.assert(
    fc.asyncProperty(broken, fc.boolean(), async (layer, below) => {
      try {
        await interrogate(below ? [layer, SAMPLE] : [SAMPLE, layer]);
      } catch (error) {
        assert.ok(error instanceof MicaError, String((error as Error).stack));
      }
    }),
    { numRuns: 1500 },
  );
});

test('a directory that contains itself is an error, not an endless walk', async () => {
  const index = openIndex(IMAGE);
  const parent = index.lookup(index.root, 'a')!;
  const child = index.lookup(parent, 'b')!;
  const image = Buffer.from(IMAGE);
  const [from, to] = [Buffer.alloc(8), Buffer.alloc(8)];
  from.writeBigUInt64LE(BigInt(child));
  to.writeBigUInt64LE(BigInt(parent));
  for (let at = image.indexOf(from); at >= 0; at = image.indexOf(from, at + 1)) to.copy(image, at);
  const layer = { index: image, data: SAMPLE.data };
  await assert.rejects(interrogate([layer]), { code: 'DATA_LOSS' });
  await assert.rejects(interrogate([SAMPLE, layer]), { code: 'DATA_LOSS' });
});

test('a tree of 4200 nested directories is refused by walks, and can be looked up', () => {
  const path = 'd/'.repeat(4200);
  const tree = openUnion([packLayer(t.tree({ [path]: t.dir() }))]);
  assert.throws(() => [...tree.walk()], { code: 'FAILED_PRECONDITION' });
  assert.throws(() => tree.survey(() => {}), { code: 'FAILED_PRECONDITION' });
  assert.equal(tree.stat(path).type, 'directory');
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { Index } from './index-file.ts';
import { Node, S_IFCHR, S_IFDIR, S_IFREG } from './node.ts';
import { openIndex } from './read.ts';
import type { Stack, StackNode } from './stack.ts';
import { isDirectory, openStack } from './stack.ts';
import { indexBytes } from './write.ts';

/** A layer in a few letters: a number is a file of that size, `x` a whiteout, an object a directory. */
interface Sketch {
  readonly [name: string]: number | 'x' | Sketch;
}

/** A directory with an entry of this name (which no other has) is opaque; the number says by which xattr. */
const OPAQUE = '%';

function nodeOf(sketch: Sketch[string]): Node {
  if (sketch === 'x') return new Node(S_IFCHR);
  if (typeof sketch === 'number') return Object.assign(new Node(S_IFREG | 0o644), { size: sketch });
  const node = new Node(S_IFDIR | 0o755);
  for (const [name, child] of Object.entries(sketch))
    if (name !== OPAQUE) node.children!.set(name, nodeOf(child));
  const mark = sketch[OPAQUE];
  if (mark !== undefined) {
    const space = mark === 1 ? 'trusted' : 'user';
    node.xattrs = [{ name: `${space}.overlay.opaque`, value: Buffer.from('y') }];
  }
  return node;
}

const stackOf = (...layers: readonly Sketch[]): Stack =>
  openStack(layers.map((layer): Index => openIndex(indexBytes(nodeOf(layer), { devices: [] }))));

/** What one sees: sizes of files, and in what layers they are. */
type Seen = string | { readonly [name: string]: Seen };

function seen(stack: Stack, node: StackNode): Seen {
  if (!isDirectory(node.inode)) return `${node.inode.size}@${node.layer}`;
  return Object.fromEntries(
    stack.readdir(node).map(({ name, node: child }) => {
      assert.deepEqual(stack.child(node, name), child, 'a lookup finds what a listing has');
      return [name, seen(stack, child)];
    }),
  );
}

const CASES: readonly (readonly [title: string, layers: readonly Sketch[], expected: Seen])[] = [
  ['an upper file hides a lower one', [{ a: 1, b: 2 }, { a: 3 }], { a: '3@1', b: '2@0' }],
  [
    'directories merge',
    [{ d: { a: 1 } }, { d: { b: 2 } }, { d: { c: 3 } }],
    { d: { a: '1@0', b: '2@1', c: '3@2' } },
  ],
  ['a whiteout deletes and is not seen', [{ a: 1, b: 2 }, { a: 'x' }], { b: '2@0' }],
  ['a whiteout of nothing is not seen', [{ a: 'x' }], {}],
  ['a whiteout deletes a whole directory', [{ d: { a: 1 } }, { d: 'x' }], {}],
  [
    'what comes back after a whiteout is new',
    [{ d: { a: 1 } }, { d: 'x' }, { d: { b: 2 } }],
    { d: { b: '2@2' } },
  ],
  [
    'a whiteout in a directory leaves its siblings',
    [{ d: { a: 1, b: 2 } }, { d: { a: 'x' } }],
    { d: { b: '2@0' } },
  ],
  [
    'an opaque directory hides what is below',
    [{ d: { a: 1 } }, { d: { [OPAQUE]: 1, b: 2 } }],
    { d: { b: '2@1' } },
  ],
  [
    'the user xattr makes opaque as well',
    [{ d: { a: 1 } }, { d: { [OPAQUE]: 2, b: 2 } }],
    { d: { b: '2@1' } },
  ],
  [
    'layers above an opaque directory merge with it',
    [{ d: { a: 1 } }, { d: { [OPAQUE]: 1, b: 2 } }, { d: { c: 3 } }],
    { d: { b: '2@1', c: '3@2' } },
  ],
  ['the root may be opaque', [{ a: 1 }, { [OPAQUE]: 1, b: 2 }], { b: '2@1' }],
  ['a file replaces a directory', [{ d: { a: 1 } }, { d: 5 }], { d: '5@1' }],
  [
    'a directory over a file does not merge with what the file replaced',
    [{ d: { a: 1 } }, { d: 5 }, { d: { b: 2 } }],
    { d: { b: '2@2' } },
  ],
  ['no layers, no tree', [], {}],
];

for (const [title, layers, expected] of CASES)
  test(title, () => {
    const stack = stackOf(...layers);
    assert.deepEqual(stack.root ? seen(stack, stack.root) : {}, expected);
  });

/** The same by another way: one layer after the other, from the base. */
function applied(layers: readonly Sketch[]): Sketch {
  const merge = (lower: Sketch, upper: Sketch): Sketch => {
    const { [OPAQUE]: opaque, ...own } = upper;
    const result: Record<string, Sketch[string]> = opaque === undefined ? { ...lower } : {};
    for (const [name, item] of Object.entries(own)) {
      const below = result[name];
      if (item === 'x') delete result[name];
      else if (typeof item === 'number') result[name] = item;
      else result[name] = merge(typeof below === 'object' ? below : {}, item);
    }
    return result;
  };
  return layers.reduce(merge, {});
}

function sizes(stack: Stack, node: StackNode): Sketch[string] {
  if (!isDirectory(node.inode)) return node.inode.size;
  return Object.fromEntries(
    stack.readdir(node).map(({ name, node: child }) => {
      assert.deepEqual(stack.child(node, name), child);
      return [name, sizes(stack, child)];
    }),
  );
}

const { sketch } = fc.letrec<{ sketch: Sketch; item: Sketch[string] }>((tie) => ({
  item: fc.oneof(
    { depthSize: 'small' },
    fc.nat({ max: 99 }),
    fc.constant('x' as const),
    tie('sketch'),
  ),
  sketch: fc.dictionary(fc.constantFrom('a', 'b', 'c', 'a', 'b', 'c', OPAQUE), tie('item'), {
    maxKeys: 4,
  }),
}));

test('a stack shows what its layers leave when they are applied one after the other', () => {
  fc.assert(
    fc.property(fc.array(sketch, { minLength: 1, maxLength: 5 }), (layers) => {
      const stack = stackOf(...layers);
      assert.deepEqual(sizes(stack, stack.root!), applied(layers));
    }),
    { numRuns: 300 },
  );
});

test('a node says which layers merge into it, topmost first', () => {
  const stack = stackOf({ d: { a: 1 } }, { e: 1 }, { d: { b: 1 } });
  const node = stack.lookup(['d'])!;
  assert.deepEqual(
    node.parts.map((part) => part.layer),
    [2, 0],
  );
  assert.equal(node.layer, 2);
  assert.equal(stack.child(node, 'a')!.layer, 0);
  assert.equal(stack.lookup(['d', 'a', 'x']), undefined);
  assert.equal(stack.lookup(['d', '..']), undefined);
  assert.deepEqual(stack.readdir(stack.lookup(['e'])!), []);
});

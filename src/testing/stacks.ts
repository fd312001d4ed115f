import * as fc from 'fast-check';
import * as t from './tree.ts';
import type { Tree } from './tree.ts';

/**
 * Random stacks of layers, base first: few names, so that layers meet; every way of hiding, at the
 * root, too. Each layer is well-formed: parents before children, no name twice.
 */
export const layerStacks = (most = 4): fc.Arbitrary<Tree[]> =>
  fc.array(layers, { minLength: 1, maxLength: most });

type Pair = readonly [path: string, item: t.Item];
/** What a name stands for, as pairs relative to it. */
type Branch = readonly Pair[];

const NAMES = ['a', 'b', 'c'] as const;

const attributes: fc.Arbitrary<t.Attributes> = fc.record(
  {
    mode: fc.constantFrom(0o600, 0o755, 0o4711),
    uid: fc.constantFrom(0, 1000, 70_000),
    mtimeNs: fc.constantFrom(0, 5),
    xattrs: fc.constant({ 'user.note': 'x' }),
  },
  { requiredKeys: [] },
);

const leaf = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .tuple(fc.constantFrom('', 'x', 'yy', 'z'.repeat(700)), attributes)
      .map((file) => t.file(...file)),
  },
  { weight: 2, arbitrary: fc.constant(t.whiteout()) },
  fc.constantFrom('a', '/b', '../c', 'a/b', '/').map((target) => t.link(target)),
  fc.constantFrom(t.fifo(), t.char(1, 3), t.char(0, 1), t.sparse(5000, { 1024: 'd'.repeat(512) })),
);

const directory = fc
  .tuple(attributes, fc.boolean(), fc.boolean())
  .map(([given, one, two]) => t.dir({ ...given, ...(one && two && { opaque: true }) }));

const { branch } = fc.letrec<{ branch: Branch }>((tie) => ({
  branch: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    leaf.map((item): Branch => [['', item]]),
    fc
      .tuple(directory, fc.dictionary(fc.constantFrom(...NAMES), tie('branch'), { maxKeys: 3 }))
      .map(([self, children]): Branch => below(children).toSpliced(0, 0, ['', self])),
  ),
}));

const layers: fc.Arbitrary<Tree> = fc
  .tuple(
    fc.dictionary(fc.constantFrom(...NAMES), branch, { maxKeys: 3 }),
    fc.array(fc.tuple(fc.nat(9), fc.constantFrom('h', 'a/h', 'b/h')), { maxLength: 2 }),
    fc.nat(9),
  )
  .map(([children, links, opaque]) => {
    const pairs: Pair[] = opaque === 0 ? [['', t.dir({ opaque: true })]] : [];
    pairs.push(...below(children).map(([path, item]): Pair => [path.slice(1), item]));
    return addLinks(t.tree(pairs), links);
  });

const below = (children: Readonly<Record<string, Branch>>): Pair[] =>
  Object.entries(children).flatMap(([name, pairs]) =>
    pairs.map(([path, item]): Pair => [`/${name}${path}`, item]),
  );

/** Second names for some of the files, in directories that the layer has. */
function addLinks(tree: Tree, links: readonly (readonly [file: number, name: string])[]): Tree {
  const files = tree.filter(({ type, name }) => type === 'file' && !name.includes('.wh.'));
  const directories = new Set(
    tree.filter(({ type }) => type === 'directory').map(({ name }) => name),
  );
  const added = new Map<string, t.Item>();
  for (const [file, name] of links) {
    const parent = name.slice(0, Math.max(0, name.lastIndexOf('/')));
    const to = files[file % Math.max(1, files.length)];
    if (to && (parent === '' || directories.has(parent))) added.set(name, t.hardlink(to.name));
  }
  return [...tree, ...t.tree(added, { parents: 'omit' })];
}

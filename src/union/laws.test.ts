import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { contentOf } from '../testing/materialise.ts';
import { packLayer } from '../testing/pack.ts';
import { StackModel } from '../testing/stack-model.ts';
import { layerStacks } from '../testing/stacks.ts';
import type { Member, Tree } from '../testing/tree.ts';
import type { PathVersion, TreeStat, UnionTree } from './tree.ts';
import { openUnion } from './union.ts';

const unionOf = (layers: readonly Tree[]): UnionTree => openUnion(layers.map(packLayer));

/** What a model's file and a tree's file have in common. */
const facts = (file: Member | TreeStat, content: string): unknown[] => [
  file.type,
  file.mode & 0o7777,
  file.uid,
  file.gid,
  file.type === 'directory' || file.type === 'symlink' ? 0 : file.size,
  file.mtime,
  file.mtimeNs,
  content,
  (file.xattrs ?? []).map(({ name }) => name),
];

function textOf(member: Member): string {
  if (member.type === 'char') return `${member.deviceMajor}:${member.deviceMinor}`;
  return member.type === 'file' ? contentOf(member).toString('latin1') : member.linkName;
}

const expected = (model: StackModel): unknown[] =>
  [...model.files.keys()]
    .sort()
    .map((path) => [`/${path}`, facts(model.files.get(path)!, textOf(model.files.get(path)!))]);

async function seen(tree: UnionTree): Promise<unknown[]> {
  const all: [string, unknown][] = [];
  for (const { path, stat } of tree.walk()) {
    if (path === '/') continue;
    const device = stat.type === 'char' ? `${stat.major}:${stat.minor}` : '';
    const read = stat.type === 'file' ? (await tree.readFile(path)).toString('latin1') : device;
    all.push([path, facts(stat, stat.target ?? read)]);
  }
  return all.sort(([a], [b]) => (a < b ? -1 : 1));
}

/** Names of one file, as sets of paths. */
function groups(names: Iterable<readonly [path: string, file: unknown]>): string[] {
  const byFile = new Map<unknown, string[]>();
  for (const [path, file] of names) byFile.set(file, [...(byFile.get(file) ?? []), path]);
  return [...byFile.values()].map((paths) => paths.sort().join(' ')).sort();
}

const pathsOf = (tree: UnionTree): string[] => [...tree.walk()].map(({ path }) => path);

interface Surveyed {
  readonly path: string;
  readonly versions: readonly PathVersion[];
}

function surveyed(tree: UnionTree): Surveyed[] {
  const all: Surveyed[] = [];
  tree.survey(({ path, versions }) => all.push({ path, versions }));
  return all;
}

const isSeen = ({ file, hiddenBy }: PathVersion): boolean =>
  file !== undefined && hiddenBy === undefined;

/** Whether one gets to `path` through symbolic links, be it in circles. */
function hasLinks(tree: UnionTree, path: string): boolean {
  try {
    return tree.resolve(path, { follow: false }).links.length > 0;
  } catch {
    return true;
  }
}

describe('for every stack of layers', () => {
  const check = (
    title: string,
    law: (layers: Tree[]) => Promise<void> | void,
    runs = 300,
  ): void => {
    test(title, () =>
      fc.assert(
        fc.asyncProperty(layerStacks(), async (layers) => law(layers)),
        { numRuns: runs },
      ),
    );
  };

  check('the union is what applying one layer after the other gives', async (layers) => {
    const model = new StackModel();
    for (const layer of layers) model.apply(layer);
    const tree = unionOf(layers);
    assert.deepEqual(await seen(tree), expected(model));
    const files = [...model.files].filter(([, { type }]) => type !== 'directory');
    const entries = [...tree.walk()].filter(({ stat }) => stat.type !== 'directory');
    assert.deepEqual(
      groups(entries.map(({ path, stat }) => [path, stat.ino])),
      groups(files.map(([path, file]) => [`/${path}`, file])),
    );
  });

  check('readdir lists what walk meets, and lstat agrees with both', (layers) => {
    const tree = unionOf(layers);
    for (const { path, raw, stat } of tree.walk()) {
      assert.deepEqual(tree.lstat(raw), stat);
      if (stat.type !== 'directory') continue;
      const below = path === '/' ? '/' : `${path}/`;
      const children = tree.readdir(path).map(({ name }) => below + name);
      const met = pathsOf(tree).filter(
        (at) => at !== '/' && at.startsWith(below) && !at.slice(below.length).includes('/'),
      );
      assert.deepEqual(children, met);
    }
  });

  check('the survey sees exactly what the walk sees, provided by the same layers', (layers) => {
    const tree = unionOf(layers);
    const visible = surveyed(tree).filter(({ versions }) => versions.some(isSeen));
    assert.deepEqual(
      visible.map(({ path }) => path),
      pathsOf(tree),
    );
    for (const { path, versions } of visible)
      assert.equal(versions.findLast(isSeen)?.layer, tree.lstat(path).layer, path);
  });

  check('the survey and the history of a path tell the same story', (layers) => {
    const tree = unionOf(layers);
    for (const { path, versions } of surveyed(tree)) {
      if (hasLinks(tree, path)) continue;
      const story = tree.history(path).filter(({ kind }) => kind !== 'deletes');
      assert.deepEqual(
        story.map((word) => [word.layer, word.kind === 'hidden' ? word.by.layer : undefined]),
        versions
          .filter(({ file }) => file)
          .map(({ layer, hiddenBy }) => [layer, hiddenBy])
          .toReversed(),
        path,
      );
      const lowest = versions.findIndex(({ file }) => file);
      const deletions = versions.filter(({ file }, at) => !file && at > lowest);
      const told = tree
        .history(path)
        .filter(
          (word, at, all) =>
            word.kind === 'deletes' && all.slice(at).some((lower) => lower.kind !== 'deletes'),
        );
      assert.deepEqual(
        told.map(({ layer }) => layer),
        lowest < 0 ? [] : deletions.map(({ layer }) => layer).toReversed(),
        path,
      );
    }
  });

  check('a path resolves to one without links, which resolves to itself', (layers) => {
    const tree = unionOf(layers);
    for (const { path, stat } of tree.walk()) {
      if (stat.type !== 'symlink') continue;
      try {
        const { path: end, exists } = tree.resolve(path);
        if (!exists) continue;
        assert.deepEqual(tree.resolve(end), { ...tree.resolve(end), path: end, links: [] });
        assert.deepEqual(tree.stat(path), tree.lstat(end));
      } catch (error) {
        assert.match(String(error), /symbolic links/);
      }
    }
  });
});

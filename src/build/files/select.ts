import { type Glob, parseGlob } from '../pattern/glob.ts';
import { resolveIn } from './resolve.ts';
import { baseOf, type SourceFile, type SourceTree, under } from './source-tree.ts';

/** A file or directory that a source of COPY names. */
export interface Selected {
  /** Where it is, links followed. */
  readonly path: string;
  readonly file: SourceFile;
  /** As it was named: what it is called in a directory that it is copied into. */
  readonly name: string;
  /** With `--parents`: where it goes below the destination; else ''. */
  readonly below: string;
}

const HAS_MEANING = /[*?[\\]/;

/** Whether a source may name any number of files, also none. */
export const isPattern = (source: string): boolean => HAS_MEANING.test(source);

/**
 * What `source` (a byte string; clean, without a leading slash) names in a tree, in byte order.
 * Links are followed inside of the tree. Nothing: there is no such file.
 */
export function select(tree: SourceTree, source: string): Selected[] {
  return matching(tree, source).flatMap((path) => {
    const at = resolveIn(tree, path);
    const file = tree.lstat(at);
    return file === undefined ? [] : [{ path: at, file, name: baseOf(path), below: '' }];
  });
}

/** The same for `--parents`: what comes after `/./`, or else all of it, is made below the destination. */
export function selectWithParents(tree: SourceTree, source: string): Selected[] {
  const pivot = `/${source}`.indexOf('/./');
  const base = pivot < 0 ? '' : source.slice(0, Math.max(0, pivot - 1));
  const rest = pivot < 0 ? source : source.slice(pivot + 2);
  return matching(tree, clean(base)).flatMap((directory) => {
    const root = resolveIn(tree, directory);
    return deep(tree, root, clean(rest)).flatMap((path) => {
      const file = tree.lstat(under(root, path));
      if (file === undefined) return [];
      return [{ path: under(root, path), file, name: baseOf(path), below: path }];
    });
  });
}

/** Without `.`, empty names and `..`, which leads no higher than the root. */
export function clean(path: string): string {
  const names: string[] = [];
  for (const name of path.split('/'))
    if (name === '..') names.pop();
    else if (name !== '' && name !== '.') names.push(name);
  return names.join('/');
}

/** Whether a path leads above the root on its way. */
export function leadsOut(path: string): boolean {
  let depth = 0;
  for (const name of path.split('/')) {
    if (name === '..') depth--;
    else if (name !== '' && name !== '.') depth++;
    if (depth < 0) return true;
  }
  return false;
}

/** Paths, links in their directories followed, that a pattern of names matches. */
function matching(tree: SourceTree, pattern: string): string[] {
  if (!isPattern(pattern)) return [pattern];
  let found = [''];
  for (const name of pattern.split('/')) {
    const step = HAS_MEANING.test(name) ? parseGlob(name) : name;
    found = found.flatMap((directory) => children(tree, directory, step));
  }
  return found;
}

function children(tree: SourceTree, directory: string, step: Glob | string): string[] {
  if (typeof step === 'string') return [under(directory, step)];
  const at = resolveIn(tree, directory);
  if (tree.lstat(at)?.type !== 'directory') return [];
  return tree
    .names(at)
    .filter((name) => step.matches(name))
    .map((name) => under(at, name));
}

/** Paths below `root` that a pattern with `**` matches; no links are followed. */
function deep(tree: SourceTree, root: string, pattern: string): string[] {
  if (!isPattern(pattern)) {
    const at = resolveIn(tree, under(root, pattern), false);
    return tree.lstat(at) === undefined ? [] : [pattern];
  }
  const glob = parseGlob(pattern, { deep: true });
  const limit = pattern.includes('**') ? Infinity : pattern.split('/').length;
  const found: string[] = [];
  const visit = (path: string, depth: number): void => {
    if (path !== '' && glob.matches(path)) {
      found.push(path);
      return;
    }
    if (depth === limit || tree.lstat(under(root, path))?.type !== 'directory') return;
    for (const name of tree.names(under(root, path))) visit(under(path, name), depth + 1);
  };
  visit('', 0);
  return found;
}

import { isOpaque, isWhiteout, type Index, type Inode } from '../erofs/index-file.ts';
import { S_IFDIR, S_IFMT } from '../erofs/node.ts';
import type { StackOptions as Folding } from '../erofs/stack.ts';
import { Bounds } from './bounds.ts';
import { Path } from './byte-string.ts';
import { inoOf, typeOf } from './stat.ts';
import type { PathVersion, SurveyedFile, SurveyedPath } from './tree.ts';

/**
 * Visits every path of every layer once, with all its versions, parents first and siblings in byte
 * order. One pass over the layers' indexes side by side; nothing is kept but the way down.
 * @param indexes base layer first
 */
export function survey(
  indexes: readonly Index[],
  visit: (path: SurveyedPath) => void,
  { fold }: Folding = {},
): void {
  const bounds = new Bounds(indexes);
  const roots: Part[] = indexes.map((index, layer) => ({ layer, nid: index.root, clears: false }));
  const stack: Level[] = [];
  const enter = (path: string, sighted: Sighted): void => {
    visit(new SurveyedAt(path, sighted.versions));
    const parts = trim(sighted.parts);
    if (parts.length > 0)
      stack.push(open(indexes, bounds, { path, parts, depth: stack.length, fold }));
  };
  enter('', judge(indexes, roots, rootSightings(indexes)));
  for (let level = stack.at(-1); level; level = stack.at(-1)) {
    const found = level.names.next().value;
    if (found === undefined) stack.pop();
    else {
      const { name, sightings } = found;
      const path = level.path === '' ? name : `${level.path}/${name}`;
      enter(path, judge(indexes, level.parts, sightings));
    }
  }
}

/** A directory as one layer has it, or (without nid) what a layer does to the directory of others. */
interface Part {
  readonly layer: number;
  readonly nid: number | undefined;
  /** Everything that lower layers have below this directory is gone. */
  readonly clears: boolean;
}

/** A directory on the way down: its parts, and who has which names in it. */
interface Level {
  readonly path: string;
  readonly parts: readonly Part[];
  readonly names: Iterator<Seen, undefined>;
}

interface Sighting {
  readonly layer: number;
  readonly nid: number;
}

/** A name, as the topmost layer writes it, and who has it. */
interface Seen {
  name: string;
  readonly sightings: Sighting[];
}

interface Sighted {
  readonly versions: Version[];
  readonly parts: Part[];
}

interface Version extends PathVersion {
  hiddenBy: number | undefined;
}

class SurveyedAt extends Path implements SurveyedPath {
  readonly versions: readonly PathVersion[];

  constructor(path: string, versions: readonly PathVersion[]) {
    super(path);
    this.versions = versions;
  }
}

const rootSightings = (indexes: readonly Index[]): Sighting[] =>
  indexes.map(({ root }, layer) => ({ layer, nid: root }));

/** What clears a directory that no lower layer has, clears nothing. */
function trim(parts: readonly Part[]): readonly Part[] {
  const first = parts.findIndex(({ nid }) => nid !== undefined);
  return first < 0 ? [] : parts.slice(first);
}

function open(
  indexes: readonly Index[],
  bounds: Bounds,
  {
    path,
    parts,
    depth,
    fold,
  }: Pick<Level, 'path' | 'parts'> & Folding & { readonly depth: number },
): Level {
  bounds.checkDepth(depth, path);
  const seen = new Map<string, Seen>();
  for (const { layer, nid } of parts) {
    if (nid === undefined) continue;
    bounds.enter(layer, nid);
    const dirents = indexes[layer]!.readdir(nid);
    bounds.count(layer, dirents.length);
    for (const dirent of dirents) {
      const { name } = dirent;
      const sighting = { layer, nid: dirent.nid };
      const key = fold?.(name) ?? name;
      const known = seen.get(key);
      if (known === undefined) seen.set(key, { name, sightings: [sighting] });
      else if (known.sightings.at(-1)!.layer !== layer) {
        known.sightings.push(sighting);
        known.name = name;
      }
    }
  }
  return { path, parts, names: inOrder(seen, fold)[Symbol.iterator]() };
}

/** By name; in one layer's directory they are. Folded names are in another order than the names. */
function inOrder(seen: ReadonlyMap<string, Seen>, fold: Folding['fold']): Seen[] {
  if (fold !== undefined) return [...seen.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  return [...seen.keys()].sort().map((key) => seen.get(key)!);
}

/** Replays, from the base up, what the layers do to one path. */
function judge(
  indexes: readonly Index[],
  parents: readonly Part[],
  sightings: readonly Sighting[],
): Sighted {
  const versions: Version[] = [];
  const parts: Part[] = [];
  let seen: Version[] = [];
  let next = 0;
  const hide = (layer: number): void => {
    for (const version of seen) version.hiddenBy = layer;
    seen = [];
  };
  const erase = (layer: number): void => {
    hide(layer);
    versions.push({ layer, file: undefined, hiddenBy: undefined });
    parts.push({ layer, nid: undefined, clears: true });
  };
  for (const { layer, clears } of parents) {
    const sighting = sightings[next];
    if (sighting?.layer !== layer) {
      if (clears && versions.length > 0) erase(layer);
      continue;
    }
    next++;
    const index = indexes[layer]!;
    const inode = index.stat(sighting.nid);
    if (isWhiteout(inode)) {
      erase(layer);
      continue;
    }
    const directory = isDirectory(inode);
    const opaque = clears || (directory && isOpaque(index, inode));
    const merges = directory && !opaque && seen.every(({ file }) => file?.type === 'directory');
    if (!merges) hide(layer);
    const version = { layer, file: surveyed(layer, inode), hiddenBy: undefined };
    versions.push(version);
    seen.push(version);
    parts.push({ layer, nid: directory ? inode.nid : undefined, clears: opaque || !directory });
  }
  return { versions, parts };
}

const isDirectory = ({ mode }: Inode): boolean => (mode & S_IFMT) === S_IFDIR;

const surveyed = (layer: number, inode: Inode): SurveyedFile => ({
  type: typeOf(inode.mode),
  mode: inode.mode,
  uid: inode.uid,
  gid: inode.gid,
  size: inode.size,
  nlink: inode.nlink,
  ino: inoOf(layer, inode.nid),
});

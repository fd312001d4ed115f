import type { Abortable } from '../io/bytes.ts';
import type { FileTree, TreePath, UnionTree } from '../union/tree.ts';
import { differences, type Place } from './same-file.ts';

/** Something about a rebase that people should know. */
export interface RebaseFinding {
  /** It may break the image; else it is only told. */
  readonly unsafe: boolean;
  readonly kind: 'platform' | 'file' | 'lost' | 'config' | 'user';
  /** A path, or a field of the config. */
  readonly subject: string;
  readonly message: string;
}

/** The trees of a rebase. */
export interface RebaseTrees {
  readonly oldBase: FileTree;
  readonly newBase: FileTree;
  readonly image: UnionTree;
  /** The new base with the image's own layers. */
  readonly rebased: UnionTree;
  /** How many layers the bases have. */
  readonly oldLayers: number;
  readonly newLayers: number;
}

const unsafe = (kind: RebaseFinding['kind'], subject: string, message: string): RebaseFinding => ({
  unsafe: true,
  kind,
  subject,
  message,
});

/**
 * What the image's own layers do to files that are not the same in both bases, which files it loses,
 * and whose its own files become.
 */
export async function rebaseFindings(
  trees: RebaseTrees,
  user: string,
  options: Abortable = {},
): Promise<RebaseFinding[]> {
  return [
    ...(await fileFindings(trees, options)),
    ...lostFindings(trees, options),
    ...(await userFindings(trees, user)),
  ];
}

async function fileFindings(trees: RebaseTrees, options: Abortable): Promise<RebaseFinding[]> {
  const { oldBase, newBase, rebased, newLayers } = trees;
  const touched: { readonly path: string; readonly raw: Uint8Array }[] = [];
  rebased.survey(({ path, raw, versions }) => {
    const isOwn = versions.some(({ layer }) => layer >= newLayers);
    if (isOwn && versions.some(({ layer, file }) => layer < newLayers && file !== undefined))
      touched.push({ path, raw: Uint8Array.from(raw) });
  });
  const findings: RebaseFinding[] = [];
  for (const { path, raw } of touched) {
    options.signal?.throwIfAborted();
    const [was, now, own] = [oldBase, newBase, rebased].map((tree) => placeOf(tree, raw));
    // Or the new base has deleted it itself.
    if (now === undefined || !(await differ(was, now, options))) continue;
    const since = was === undefined ? 'is new in the new base' : 'is another one in the new base';
    if (own === undefined) {
      const message = `${since}, and the image deletes it`;
      findings.push({ unsafe: false, kind: 'file', subject: path, message });
    } else if (await differ(own, now, options))
      findings.push(unsafe('file', path, `${since}, and the image has its own`));
  }
  return findings;
}

function placeOf(tree: FileTree, path: TreePath): Place | undefined {
  if (!tree.resolve(path, { follow: false }).exists) return undefined;
  // Not by way of a link: that is another file.
  const stat = tree.lstat(path);
  return { tree, path, stat };
}

/** Times do not count, nor does what is in a directory. */
async function differ(
  one: Place | undefined,
  other: Place | undefined,
  options: Abortable,
): Promise<boolean> {
  if (one === undefined || other === undefined) return one !== other;
  const found = await differences(one, other, options);
  return found.some((what) => what !== 'time');
}

/** Files that the image has from its old base only. */
function* lostFindings(
  { image, newBase, oldLayers }: RebaseTrees,
  { signal }: Abortable,
): Generator<RebaseFinding> {
  for (const { path, raw, stat } of image.walk()) {
    signal?.throwIfAborted();
    if (stat.layer >= oldLayers || newBase.resolve(raw, { follow: false }).exists) continue;
    const message = 'is in the old base only, and gone';
    yield { unsafe: false, kind: 'lost', subject: path, message };
  }
}

async function userFindings(trees: RebaseTrees, user: string): Promise<RebaseFinding[]> {
  const { oldBase, rebased, newLayers } = trees;
  const findings: RebaseFinding[] = [];
  const [was, now] = [await namesOf(oldBase, 'passwd'), await namesOf(rebased, 'passwd')];
  const [wasGroup, nowGroup] = [await namesOf(oldBase, 'group'), await namesOf(rebased, 'group')];
  const [name = '', group = ''] = user.split(':');
  if (isName(name) && ![...now.values()].includes(name))
    findings.push(unsafe('user', name, 'the image runs as a user that it does not have any more'));
  if (isName(group) && ![...nowGroup.values()].includes(group))
    findings.push(
      unsafe('user', group, 'the image runs with a group that it does not have any more'),
    );
  const [uids, gids] = [new Set<number>(), new Set<number>()];
  for (const { stat } of rebased.walk()) {
    if (stat.layer < newLayers) continue;
    uids.add(stat.uid);
    gids.add(stat.gid);
  }
  return [
    ...findings,
    ...renamed('user', uids, was, now),
    ...renamed('group', gids, wasGroup, nowGroup),
  ];
}

const isName = (text: string): boolean => text !== '' && !/^\d+$/.test(text);

type Names = ReadonlyMap<number, string>;

function* renamed(
  what: string,
  ids: ReadonlySet<number>,
  was: Names,
  now: Names,
): Generator<RebaseFinding> {
  for (const id of [...ids].sort((a, b) => a - b)) {
    const [before, after] = [was.get(id), now.get(id)];
    if (before === undefined || before === after) continue;
    const then = after === undefined ? 'nobody' : after;
    yield unsafe('user', `${what} ${id}`, `owns files of the image, was ${before}, and is ${then}`);
  }
}

/** More than any real one has, in bytes. */
const MAX_NAMES = 1 << 20;

/** `passwd` or `group` of a tree, by number. */
async function namesOf(tree: FileTree, file: 'passwd' | 'group'): Promise<Names> {
  const path = `/etc/${file}`;
  if (!tree.resolve(path).exists) return new Map();
  const { type, size } = tree.stat(path);
  if (type !== 'file' || size > MAX_NAMES) return new Map();
  const lines = (await tree.readFile(path)).toString().split('\n');
  const names = new Map<number, string>();
  for (const line of lines) {
    const [name = '', , id = ''] = line.split(':');
    if (/^\d{1,10}$/.test(id) && !names.has(Number(id))) names.set(Number(id), name);
  }
  return names;
}

import {
  appendFileSync,
  chmodSync,
  closeSync,
  lchownSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { S_IFIFO } from '../erofs/node.ts';
import { AT_FDCWD, mknodat } from '../sys/at.ts';
import { setXattr } from '../sys/xattr.ts';

/** A change to a tree. Whatever stands in its way is removed first; what needs a file and finds none does nothing. */
export type Edit = Make | Change | Move;

type Make =
  | { readonly type: 'file'; readonly path: string; readonly content: string }
  | { readonly type: 'link'; readonly path: string; readonly target: string }
  | { readonly type: 'directory' | 'fifo'; readonly path: string };

type Change =
  | { readonly type: 'mode'; readonly path: string; readonly mode: number }
  | { readonly type: 'time'; readonly path: string; readonly seconds: number }
  /** `rewrite`: removed and made again as it was. */
  | { readonly type: 'remove' | 'append' | 'owner' | 'xattr' | 'rewrite'; readonly path: string };

interface Move {
  readonly type: 'hardlink' | 'rename';
  readonly path: string;
  readonly from: string;
}

/** What every file system can do. */
const PLAIN_EDITS = ['file', 'file', 'directory', 'remove', 'remove', 'link', 'mode'] as const;

/** All that a layer can tell. Needs root. */
export const RICH_EDITS: readonly Edit['type'][] = [
  ...PLAIN_EDITS,
  ...(['append', 'owner', 'xattr', 'rewrite', 'time', 'fifo', 'hardlink', 'rename'] as const),
];

export interface RandomEdits {
  readonly snapshots: number;
  /** Of one snapshot. */
  readonly edits: number;
  /** As often as they are in here. */
  readonly types?: readonly Edit['type'][];
}

/** The same edits for the same seed. Few names, so that they meet. */
export function randomEdits(seed: number, options: RandomEdits): Edit[][] {
  const { snapshots, edits, types = PLAIN_EDITS } = options;
  const random = generator(seed);
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)]!;
  const path = (): string => {
    const depth = 1 + Math.floor(random() * 3);
    return Array.from({ length: depth }, () => pick(['a', 'b', 'c'])).join('/');
  };
  const edit = (): Edit => {
    const type = pick(types);
    switch (type) {
      case 'file':
        return { type, path: path(), content: 'x'.repeat(Math.floor(random() * 50)) };
      case 'link':
        return { type, path: path(), target: pick(['a', '../b', '/c']) };
      case 'mode':
        return { type, path: path(), mode: pick([0o700, 0o755, 0o644, 0o1777]) };
      case 'time':
        return { type, path: path(), seconds: pick([0, 1_500_000_000]) };
      case 'hardlink':
      case 'rename':
        return { type, path: path(), from: path() };
      default:
        return { type, path: path() };
    }
  };
  return Array.from({ length: snapshots }, () => Array.from({ length: edits }, edit));
}

export function applyEdits(root: string, edits: readonly Edit[]): void {
  for (const edit of edits) applyEdit(root, edit);
}

function applyEdit(root: string, edit: Edit): void {
  const path = join(root, edit.path);
  switch (edit.type) {
    case 'hardlink':
    case 'rename':
      return move(root, edit);
    case 'file':
    case 'link':
    case 'fifo':
    case 'directory':
      return make(root, edit);
    default:
      if (isReal(root, edit.path)) change(path, edit);
  }
}

function make(root: string, edit: Make): void {
  const path = join(root, edit.path);
  makeParents(root, edit.path);
  if (edit.type === 'directory') return makeDirectory(path);
  rmSync(path, { recursive: true, force: true });
  if (edit.type === 'file') writeFileSync(path, edit.content);
  else if (edit.type === 'link') symlinkSync(edit.target, path);
  else if (edit.type === 'fifo') mknodat(AT_FDCWD, path, S_IFIFO | 0o600);
}

function change(path: string, edit: Change): void {
  const stat = lstatSync(path);
  if (edit.type === 'remove') return rmSync(path, { recursive: true });
  if (edit.type === 'time') return lutimesSync(path, edit.seconds, edit.seconds);
  if (edit.type === 'owner') return lchownSync(path, stat.uid + 1, stat.gid);
  if (edit.type === 'mode' && !stat.isSymbolicLink()) return chmodSync(path, edit.mode);
  if (edit.type === 'xattr' && (stat.isFile() || stat.isDirectory())) return note(path);
  if (!stat.isFile()) return;
  if (edit.type === 'append') appendFileSync(path, 'more');
  if (edit.type !== 'rewrite') return;
  const content = readFileSync(path);
  rmSync(path);
  writeFileSync(path, content);
  lchownSync(path, stat.uid, stat.gid);
  chmodSync(path, stat.mode & 0o7777);
  lutimesSync(path, stat.mtimeMs / 1000, stat.mtimeMs / 1000);
}

function note(path: string): void {
  const fd = openSync(path, 'r');
  setXattr(fd, 'user.edited', Buffer.from('yes'));
  closeSync(fd);
}

/** Of anything but directories: overlayfs moves only those that are new. */
function move(root: string, edit: Move): void {
  const [path, from] = [join(root, edit.path), join(root, edit.from)];
  const canMove = (): boolean => isReal(root, edit.from) && !lstatSync(from).isDirectory();
  if (edit.path === edit.from || !canMove()) return;
  makeParents(root, edit.path);
  rmSync(path, { recursive: true, force: true });
  if (!canMove()) return;
  if (edit.type === 'hardlink') linkSync(from, path);
  else renameSync(from, path);
}

function makeParents(root: string, path: string): void {
  const parts = path.split('/');
  for (let depth = 1; depth < parts.length; depth++)
    makeDirectory(join(root, ...parts.slice(0, depth)));
}

function makeDirectory(path: string): void {
  if (lstatSync(path, { throwIfNoEntry: false })?.isDirectory()) return;
  rmSync(path, { force: true });
  mkdirSync(path);
}

/** Whether `path` exists, with no link or file among the directories above it. */
export function isReal(root: string, path: string): boolean {
  const parts = path.split('/');
  return parts.every((_, index) => {
    const stat = lstatSync(join(root, ...parts.slice(0, index + 1)), { throwIfNoEntry: false });
    return index === parts.length - 1 ? stat !== undefined : stat?.isDirectory();
  });
}

/** mulberry32 */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

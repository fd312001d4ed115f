import { chmodSync, lstatSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A change to a tree. Whatever stands in its way is removed first. */
export type Edit =
  | { readonly type: 'file'; readonly path: string; readonly content: string }
  | { readonly type: 'directory'; readonly path: string }
  | { readonly type: 'remove'; readonly path: string }
  | { readonly type: 'link'; readonly path: string; readonly target: string }
  | { readonly type: 'mode'; readonly path: string; readonly mode: number };

/** The same edits for the same seed. Few names, so that they meet. */
export function randomEdits(
  seed: number,
  { snapshots, edits }: { readonly snapshots: number; readonly edits: number },
): Edit[][] {
  const random = generator(seed);
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)]!;
  const path = (): string => {
    const depth = 1 + Math.floor(random() * 3);
    return Array.from({ length: depth }, () => pick(['a', 'b', 'c'])).join('/');
  };
  const edit = (): Edit => {
    const type = pick(['file', 'file', 'directory', 'remove', 'remove', 'link', 'mode'] as const);
    switch (type) {
      case 'file':
        return { type, path: path(), content: 'x'.repeat(Math.floor(random() * 50)) };
      case 'link':
        return { type, path: path(), target: pick(['a', '../b', '/c']) };
      case 'mode':
        return { type, path: path(), mode: pick([0o700, 0o755, 0o644, 0o1777]) };
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
  if (edit.type === 'mode') {
    if (isReal(root, edit.path) && !lstatSync(path).isSymbolicLink()) chmodSync(path, edit.mode);
    return;
  }
  if (edit.type === 'remove') {
    if (isReal(root, edit.path)) rmSync(path, { recursive: true, force: true });
    return;
  }
  const parts = edit.path.split('/');
  for (let depth = 1; depth < parts.length; depth++)
    makeDirectory(join(root, ...parts.slice(0, depth)));
  if (edit.type === 'directory') return makeDirectory(path);
  rmSync(path, { recursive: true, force: true });
  if (edit.type === 'file') writeFileSync(path, edit.content);
  else symlinkSync(edit.target, path);
}

function makeDirectory(path: string): void {
  if (lstatSync(path, { throwIfNoEntry: false })?.isDirectory()) return;
  rmSync(path, { force: true });
  mkdirSync(path);
}

/** Whether `path` exists, with no link or file among the directories above it. */
function isReal(root: string, path: string): boolean {
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

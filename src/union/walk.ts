import { isDirectory, type Stack, type StackEntry, type StackNode } from '../erofs/stack.ts';
import { Bounds } from './bounds.ts';

/** A place of the merged tree. */
export interface Walked {
  /** From the root, without a leading slash (byte string). */
  readonly path: string;
  readonly node: StackNode;
}

/** `node` and everything below it, depth first, siblings in byte order. */
export function* walk(stack: Stack, node: StackNode, path: string): Generator<Walked> {
  const bounds = new Bounds(stack.indexes);
  const levels: Level[] = [];
  const list = (found: Walked): void => {
    if (!isDirectory(found.node.inode)) return;
    bounds.checkDepth(levels.length, found.path);
    for (const { layer, inode } of found.node.parts) bounds.enter(layer, inode.nid);
    const entries = stack.readdir(found.node);
    bounds.count(found.node.layer, entries.length);
    const prefix = found.path === '' ? '' : `${found.path}/`;
    levels.push({ prefix, entries: entries[Symbol.iterator]() });
  };
  yield { path, node };
  list({ path, node });
  for (let level = levels.at(-1); level; level = levels.at(-1)) {
    const next = level.entries.next();
    if (next.done) levels.pop();
    else {
      const found = { path: level.prefix + next.value.name, node: next.value.node };
      yield found;
      list(found);
    }
  }
}

interface Level {
  readonly prefix: string;
  readonly entries: Iterator<StackEntry>;
}

import type { Abortable } from '../io/bytes.ts';
import type { FileTree, TreePath, TreeStat } from '../union/tree.ts';

/** In what two files differ. */
export type Difference =
  | 'type'
  | 'content'
  | 'target'
  | 'device'
  | 'mode'
  | 'owner'
  | 'xattrs'
  | 'time';

/** A file in a tree. */
export interface Place {
  readonly tree: FileTree;
  readonly path: TreePath;
  readonly stat: TreeStat;
}

/** In what two files differ; contents are read where sizes are the same, unless they are said to be `shared`. */
export async function differences(
  one: Place,
  other: Place,
  { shared = false, ...options }: Abortable & { readonly shared?: boolean } = {},
): Promise<Difference[]> {
  const [a, b] = [one.stat, other.stat];
  if (shared) return [];
  if (a.type !== b.type) return ['type'];
  const found: Difference[] = [];
  if (a.type === 'file' && !(a.size === b.size && (await sameContent(one, other, options))))
    found.push('content');
  if (a.target !== b.target) found.push('target');
  if (a.major !== b.major || a.minor !== b.minor) found.push('device');
  if (a.mode !== b.mode) found.push('mode');
  if (a.uid !== b.uid || a.gid !== b.gid) found.push('owner');
  if (textOf(a.xattrs) !== textOf(b.xattrs)) found.push('xattrs');
  if (a.mtime !== b.mtime || a.mtimeNs !== b.mtimeNs) found.push('time');
  return found;
}

const textOf = (xattrs: TreeStat['xattrs']): string =>
  xattrs
    .map(({ name, value }) => `${name}=${Buffer.from(value).toString('hex')}`)
    .sort()
    .join('\n');

/** Of two files of one size; stops at the first difference. */
async function sameContent(one: Place, other: Place, { signal }: Abortable): Promise<boolean> {
  const chunks = other.tree.createReadStream(other.path, { signal })[Symbol.asyncIterator]();
  let rest: Uint8Array = new Uint8Array();
  try {
    for await (let chunk of one.tree.createReadStream(one.path, { signal })) {
      while (chunk.length > 0) {
        if (rest.length === 0) rest = (await chunks.next()).value ?? rest;
        const length = Math.min(chunk.length, rest.length);
        // The same size was promised; who has less is different.
        if (length === 0) return false;
        if (Buffer.compare(chunk.subarray(0, length), rest.subarray(0, length)) !== 0) return false;
        chunk = chunk.subarray(length);
        rest = rest.subarray(length);
      }
    }
    return true;
  } finally {
    await chunks.return?.(undefined);
  }
}

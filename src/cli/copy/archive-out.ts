import type { Abortable, Bytes } from '../../io/bytes.ts';
import type { EntryType } from '../../tar/entry.ts';
import { type NewEntry, TarWriter } from '../../tar/write.ts';
import type { TreeEntry, TreeStat, UnionTree } from '../../union/tree.ts';

/** Small members are handed on together. In bytes. */
const BATCH = 256 * 1024;

/** `from` and everything below it as a tar archive; its members are named `name` and `name/…`. */
export async function* archiveOf(
  tree: UnionTree,
  from: Uint8Array,
  name: Uint8Array,
  options: Abortable = {},
): Bytes {
  const ready: Uint8Array[] = [];
  let size = 0;
  const writer = new TarWriter((chunk) => {
    ready.push(chunk);
    size += chunk.length;
  });
  const flush = (): Uint8Array => {
    size = 0;
    return Buffer.concat(ready.splice(0));
  };
  const firsts = new Map<string, string>();
  const top = Buffer.from(from).toString('latin1').replace(/\/+$/, '');
  for (const entry of tree.walk(from)) {
    options.signal?.throwIfAborted();
    const below = Buffer.from(entry.raw).toString('latin1').slice(top.length).replace(/^\/+/, '');
    const path = Buffer.from(name).toString('latin1') + (below === '' ? '' : `/${below}`);
    const member = memberOf(entry.stat, path, firsts);
    // A socket is a meeting point, not a file: tar has no type for it.
    if (!member) continue;
    writer.entry(member);
    if (member.type === 'file')
      for await (const chunk of contentOf(tree, entry, options)) {
        writer.data(chunk);
        if (size >= BATCH) yield flush();
      }
    if (size >= BATCH) yield flush();
  }
  writer.finish();
  yield flush();
}

const contentOf = (tree: UnionTree, { raw, stat }: TreeEntry, options: Abortable): Bytes | [] =>
  stat.size === 0 ? [] : tree.createReadStream(raw, options);

function memberOf(stat: TreeStat, path: string, firsts: Map<string, string>): NewEntry | undefined {
  const { type } = stat;
  if (type === 'socket') return undefined;
  const first = stat.nlink > 1 && type !== 'directory' ? firsts.get(stat.ino) : undefined;
  if (stat.nlink > 1 && first === undefined) firsts.set(stat.ino, path);
  const entryType: EntryType = first === undefined ? type : 'link';
  return {
    type: entryType,
    name: path,
    linkName: first ?? Buffer.from(stat.rawTarget ?? []).toString('latin1'),
    mode: stat.mode & 0o7777,
    uid: stat.uid,
    gid: stat.gid,
    size: entryType === 'file' ? stat.size : 0,
    mtime: stat.mtime,
    mtimeNs: stat.mtimeNs,
    deviceMajor: stat.major,
    deviceMinor: stat.minor,
    xattrs: stat.xattrs,
    sparse: undefined,
  };
}

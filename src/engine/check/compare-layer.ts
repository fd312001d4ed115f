import { lstatSync, readlinkSync } from 'node:fs';
import { inUserNamespace } from '../../sys/userns.ts';
import type { TreeStat, UnionTree } from '../../union/tree.ts';

const TYPE = 0o170000;

/**
 * Holds the files of an extracted layer against its index.
 * @returns the first difference, for people; `undefined`: none. Contents are not compared: nothing here knows what they were.
 */
export async function compareWithIndex(
  tree: UnionTree,
  directory: string,
  signal?: AbortSignal,
): Promise<string | undefined> {
  let count = 0;
  for (const { raw, stat } of tree.walk()) {
    if (++count % 512 === 0) {
      await new Promise<void>((resolve) => setImmediate(resolve));
      signal?.throwIfAborted();
    }
    const difference = compare(Buffer.concat([Buffer.from(directory), raw]), stat);
    if (difference !== undefined) return `${Buffer.from(raw).toString()}: ${difference}`;
  }
  return undefined;
}

function compare(path: Buffer, wanted: TreeStat): string | undefined {
  // In a user namespace nobody can make one: a whiteout is in its place, or nothing.
  if ((wanted.type === 'char' || wanted.type === 'block') && inUserNamespace()) return undefined;
  const found = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  if (found === undefined) return 'the file is missing';
  const mode = Number(found.mode);
  if ((mode & TYPE) !== (wanted.mode & TYPE)) return 'the file is of another type';
  if (wanted.type !== 'symlink' && mode !== wanted.mode)
    return `its mode is ${(mode & 0o7777).toString(8)} instead of ${(wanted.mode & 0o7777).toString(8)}`;
  if (Number(found.uid) !== wanted.uid || Number(found.gid) !== wanted.gid)
    return `it belongs to ${found.uid}:${found.gid} instead of ${wanted.uid}:${wanted.gid}`;
  if (wanted.type === 'symlink')
    return readlinkSync(path) === wanted.target ? undefined : 'it leads elsewhere';
  if (wanted.type !== 'file') return undefined;
  if (found.size !== BigInt(wanted.size))
    return `it has ${found.size} bytes instead of ${wanted.size}`;
  const second = BigInt(wanted.mtime) * 1_000_000_000n;
  // Some file systems keep whole seconds: zfs-fuse, ext4 with small inodes.
  const times = [second + BigInt(wanted.mtimeNs), second];
  return times.includes(found.mtimeNs) ? undefined : 'it was modified since it was unpacked';
}

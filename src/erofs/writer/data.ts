import * as F from '../format.ts';
import type { Node } from '../node.ts';
import { S_IFLNK, S_IFMT, S_IFREG } from '../node.ts';
import type { ChunkMap } from './chunks.ts';
import { BLOCK_SIZE } from './chunks.ts';
import type { Layout } from './layout.ts';
import { badName } from './layout.ts';
import type { Output } from './output.ts';

const SLASH = 0x2f;

/** Reads from a device until `into` is full. */
export type ReadDevice = (device: number, physical: number, into: Uint8Array) => void;

/** The end of a directory's or link's data, behind its inode. */
export function writeTail(output: Output, layout: Layout, slot: number): void {
  const tail = layout.tails[slot]!;
  const node = layout.nodes[slot]!;
  if ((node.mode & S_IFMT) !== S_IFLNK) {
    writeDirectory(output, layout, slot, true);
    return;
  }
  const at = output.reserve(tail);
  output.buffer.write(node.target!.slice(node.target!.length - tail), at, 'latin1');
}

/** Data in blocks of their own: those of large directories and links, and what is copied of files. */
export function writeBlocks(
  output: Output,
  layout: Layout,
  slot: number,
  read: ReadDevice | undefined,
): void {
  const node = layout.nodes[slot]!;
  const type = node.mode & S_IFMT;
  if (type === S_IFREG) copyBlocks(output, layout.chunks.get(slot)!, node, read!);
  else if (type !== S_IFLNK) writeDirectory(output, layout, slot, false);
  else {
    const length = node.target!.length - layout.tails[slot]!;
    output.buffer.write(node.target!.slice(0, length), output.reserve(length), 'latin1');
  }
  output.padTo(Math.ceil(output.position / BLOCK_SIZE) * BLOCK_SIZE);
}

function copyBlocks(
  output: Output,
  map: ChunkMap,
  { extents, size }: Node,
  read: ReadDevice,
): void {
  let next = 0;
  for (const run of map.runs) {
    if (run.device !== 0) continue;
    for (let block = run.start; block < run.start + run.count; block++) {
      const start = block * BLOCK_SIZE;
      const end = Math.min(start + BLOCK_SIZE, size);
      const at = output.reserve(BLOCK_SIZE);
      while (extents![next]!.logical + extents![next]!.length <= start) next++;
      for (let i = next; i < extents!.length && extents![i]!.logical < end; i++) {
        const { logical, length, device, physical } = extents![i]!;
        const from = Math.max(logical, start);
        const to = Math.min(logical + length, end);
        const into = output.buffer.subarray(at + from - start, at + to - start);
        read(device, physical + from - logical, into);
      }
    }
  }
}

/** Either the blocks of a directory or what is behind its inode. */
function writeDirectory(output: Output, layout: Layout, slot: number, tail: boolean): void {
  const names = layout.names[slot]!;
  const inline = layout.tails[slot]! > 0;
  for (let first = 0; first < names.length;) {
    let used = 0;
    let end = first;
    for (; end < names.length; end++) {
      const size = F.DIRENT_SIZE + names[end]!.length;
      if (used + size > BLOCK_SIZE) break;
      used += size;
    }
    const isTail = inline && end === names.length;
    if (isTail === tail) {
      const at = output.reserve(tail ? used : BLOCK_SIZE);
      writeEntries(output.buffer, at, layout, { slot, first, end });
    }
    first = end;
  }
}

interface Entries {
  readonly slot: number;
  readonly first: number;
  readonly end: number;
}

function writeEntries(
  b: Buffer,
  start: number,
  layout: Layout,
  { slot, first, end }: Entries,
): void {
  const names = layout.names[slot]!;
  const { children } = layout.nodes[slot]!;
  let nameOffset = (end - first) * F.DIRENT_SIZE;
  for (let i = first, at = start; i < end; i++, at += F.DIRENT_SIZE) {
    const name = names[i]!;
    const target = children!.get(name)?.slot ?? (name === '.' ? slot : layout.parents[slot]!);
    const nid = layout.offsets[target]! / 2 ** F.EROFS_SLOT_BITS;
    b.writeUInt32LE(nid >>> 0, at);
    b.writeUInt32LE(Math.floor(nid / 2 ** 32), at + 4);
    b.writeUInt16LE(nameOffset, at + 8);
    b.writeUInt8(F.FILE_TYPES[layout.nodes[target]!.mode >>> 12]!, at + 10);
    for (let c = 0; c < name.length; c++) {
      const code = name.charCodeAt(c);
      if (code === 0 || code === SLASH || code > 0xff) throw badName(name);
      b[start + nameOffset++] = code;
    }
  }
}

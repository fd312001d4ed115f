import { createHash } from 'node:crypto';
import type { Digest } from '../oci/digest.ts';
import type { IndexDevice, Node } from './node.ts';
import { BLOCK_SIZE } from './writer/chunks.ts';
import type { ReadDevice } from './writer/data.ts';
import { writeBlocks, writeTail } from './writer/data.ts';
import { writeChunks, writeInode, writeXattr, writeXattrs } from './writer/inode.ts';
import type { Layout } from './writer/layout.ts';
import { layOut, NOT_CHUNKED } from './writer/layout.ts';
import { Output } from './writer/output.ts';
import { writeSuperblock } from './writer/superblock.ts';

export interface IndexOptions {
  /** The tars that extents point into; `devices[0]` is device 1. */
  readonly devices: readonly IndexDevice[];
  /** What the volume's UUID is derived from. Default: the tags of the devices. */
  readonly identity?: string;
  /**
   * With it, pieces of files that do not begin at a multiple of 512 bytes in the tar, or lie in no
   * device, are copied into the index; without it such files are {@link WrittenIndex.unmapped}.
   */
  readonly read?: ReadDevice;
}

export interface WrittenIndex {
  /** In bytes. */
  readonly size: number;
  readonly digest: Digest;
  readonly inodes: number;
  /** Files whose data the index does not know: a reader refuses to tell their extents, a mount shows zeros. */
  readonly unmapped: number;
  /** Xattrs left out because EROFS has no place for their namespace, or their value is too large. */
  readonly droppedXattrs: number;
}

/** In bytes, at most. */
const BUFFER_SIZE = 256 * 1024;

/**
 * Writes a tree as an EROFS image, from its first byte to its last, into `sink`, which must be done
 * with a chunk when it returns. The same tree gives the same bytes, in whatever order it was made.
 *
 * @throws INVALID_ARGUMENT for what no file system can hold, RESOURCE_EXHAUSTED beyond the format's limits
 */
export function writeIndex(
  root: Node,
  sink: (chunk: Uint8Array) => void,
  options: IndexOptions,
): WrittenIndex {
  const { devices, read } = options;
  const layout = layOut(root, { devices, copy: read !== undefined });
  const hash = createHash('sha256');
  const output = new Output(
    (chunk) => {
      hash.update(chunk);
      sink(chunk);
    },
    Math.min(layout.totalBlocks * BLOCK_SIZE, BUFFER_SIZE),
  );
  writeSuperblock(output, layout, options);
  for (const slot of layout.order) writeMetadata(output, layout, slot);
  output.padTo(layout.sharedStart);
  for (const xattr of layout.xattrs.shared) writeXattr(output, xattr);
  output.padTo(layout.dataBlock * BLOCK_SIZE);
  for (const slot of layout.blocks.keys()) writeBlocks(output, layout, slot, read);
  output.flush();
  return {
    size: output.position,
    digest: `sha256:${hash.digest('hex')}`,
    inodes: layout.count,
    unmapped: layout.unmapped,
    droppedXattrs: layout.xattrs.dropped,
  };
}

/** The whole image in memory. */
export function indexBytes(root: Node, options: IndexOptions): Buffer {
  const chunks: Uint8Array[] = [];
  writeIndex(root, (chunk) => chunks.push(Buffer.from(chunk)), options);
  return Buffer.concat(chunks);
}

function writeMetadata(output: Output, layout: Layout, slot: number): void {
  const xattrs = layout.xattrSets[slot]!;
  output.padTo(layout.offsets[slot]!);
  writeInode(output, layout, slot);
  if (xattrs.size > 0) writeXattrs(output, xattrs, layout.sharedStart);
  if (layout.chunkBits[slot] !== NOT_CHUNKED) writeChunks(output, layout, slot);
  else if (layout.tails[slot]! > 0) writeTail(output, layout, slot);
}

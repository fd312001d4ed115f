import { createHash } from 'node:crypto';
import { MicaError } from '../../errors.ts';
import { crc32c } from '../crc32c.ts';
import * as F from '../format.ts';
import type { IndexDevice } from '../node.ts';
import { BLOCK_BITS, BLOCK_SIZE } from './chunks.ts';
import type { Layout } from './layout.ts';
import type { Output } from './output.ts';

const VOLUME_NAME = 'mica';

/** The superblock, the devices behind it, and the rest of the block. */
export function writeSuperblock(
  output: Output,
  layout: Layout,
  options: { readonly devices: readonly IndexDevice[]; readonly identity?: string },
): void {
  const { devices } = options;
  const head = Buffer.alloc(headSize(devices.length));
  const b = head.subarray(F.EROFS_SUPER_OFFSET);
  b.writeUInt32LE(F.EROFS_SUPER_MAGIC_V1, F.SB.magic);
  // Without FEATURE_COMPAT_SB_CHKSUM: fsck.erofs 1.8 crashes where it is set and blocks are smaller than
  // the superblock's offset. The checksum is there all the same; our reader verifies it.
  b.writeUInt32LE(F.FEATURE_COMPAT_MTIME, F.SB.feature_compat);
  b.writeUInt8(BLOCK_BITS, F.SB.blkszbits);
  b.writeUInt16LE(layout.offsets[0]! / 2 ** F.EROFS_SLOT_BITS, F.SB.rootnid_2b);
  b.writeUInt32LE(layout.count, F.SB.inos);
  b.writeUInt32LE(layout.totalBlocks, F.SB.blocks_lo);
  uuidOf(options.identity ?? devices.map(({ tag }) => tag).join(), layout).copy(b, F.SB.uuid);
  b.write(VOLUME_NAME, F.SB.volume_name, 'latin1');
  const features = F.FEATURE_INCOMPAT_CHUNKED_FILE | F.FEATURE_INCOMPAT_DEVICE_TABLE;
  b.writeUInt32LE(features, F.SB.feature_incompat);
  b.writeUInt16LE(devices.length, F.SB.extra_devices);
  const slots = F.EROFS_SUPER_OFFSET + F.EROFS_SUPER_SIZE;
  b.writeUInt16LE(slots / F.EROFS_DEVT_SLOT_SIZE, F.SB.devt_slotoff);
  for (const [i, device] of devices.entries())
    encodeDevice(
      head.subarray(slots + i * F.EROFS_DEVT_SLOT_SIZE),
      device,
      layout.deviceBlocks[i]!,
    );
  b.writeUInt32LE(crc32c(b.subarray(0, BLOCK_SIZE)), F.SB.checksum);
  output.write(head);
}

/**
 * Where inodes begin: in the block behind the checksummed one, so that the checksum is known first.
 * @throws RESOURCE_EXHAUSTED when the root's number would not fit in its 16 bits any more
 */
export function headSize(devices: number): number {
  const slots = F.EROFS_SUPER_OFFSET + F.EROFS_SUPER_SIZE + devices * F.EROFS_DEVT_SLOT_SIZE;
  const size = Math.ceil(slots / BLOCK_SIZE) * BLOCK_SIZE;
  if (size / 2 ** F.EROFS_SLOT_BITS > MAX_ROOT)
    throw new MicaError('RESOURCE_EXHAUSTED', `write index: ${devices} devices are too many`);
  return size;
}

/** The root inode comes first, but may begin so much later that its tail fits in a block. */
const MAX_ROOT = 0xffff - BLOCK_SIZE / 2 ** F.EROFS_SLOT_BITS;

function encodeDevice(b: Buffer, { tag, size }: IndexDevice, start: number): void {
  const blocks = Math.ceil(size / BLOCK_SIZE);
  if (blocks >= F.NULL_ADDR)
    throw new MicaError(
      'RESOURCE_EXHAUSTED',
      `write index: a device of ${size} bytes; 2 TiB is the most`,
    );
  if (tag.length > F.DEVICE_TAG_SIZE)
    throw new MicaError(
      'INVALID_ARGUMENT',
      `write index: device tag ${tag} has more than 64 characters`,
    );
  b.write(tag, 0, 'latin1');
  b.writeUInt32LE(blocks, F.DEVICE_SLOT.blocks_lo);
  b.writeUInt32LE(start, F.DEVICE_SLOT.uniaddr_lo);
}

/** Of version 8 (RFC 9562: the bits are our own affair), so that the same index has the same one. */
function uuidOf(identity: string, { count, totalBlocks }: Layout): Buffer {
  const text = `mica index ${identity} ${count} ${totalBlocks}`;
  const uuid = createHash('sha256').update(text, 'latin1').digest().subarray(0, 16);
  uuid[6] = (uuid[6]! & 0x0f) | 0x80;
  uuid[8] = (uuid[8]! & 0x3f) | 0x80;
  return uuid;
}

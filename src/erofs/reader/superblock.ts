import { MicaError } from '../../errors.ts';
import { crc32c } from '../crc32c.ts';
import * as F from '../format.ts';
import type { IndexDevice } from '../node.ts';
import type { ImageBytes } from './pages.ts';

/** What the superblock says that matters here. */
export interface Superblock {
  readonly blockBits: number;
  readonly root: number;
  readonly inodes: number;
  readonly uuid: string;
  readonly epoch: number;
  readonly fixedNs: number;
  /** First byte of the metadata: where nid 0 would be. */
  readonly metaStart: number;
  /** First byte of the shared xattrs. */
  readonly xattrStart: number;
  readonly devices: readonly IndexDevice[];
  /** The devices that have a place in the common address space, in its order. */
  readonly places: readonly Place[];
  readonly featureCompat: number;
  readonly featureIncompat: number;
  /** Long xattr name prefixes. */
  readonly prefixCount: number;
  readonly prefixStart: number;
  /** 0: there is none. */
  readonly packedNid: number;
}

/** In blocks. */
export interface Place {
  readonly device: number;
  readonly start: number;
  readonly length: number;
}

/** Compression flags are harmless: only inodes that use it are refused. */
const KNOWN =
  F.FEATURE_INCOMPAT_ZERO_PADDING |
  F.FEATURE_INCOMPAT_COMPR_CFGS |
  F.FEATURE_INCOMPAT_CHUNKED_FILE |
  F.FEATURE_INCOMPAT_DEVICE_TABLE |
  F.FEATURE_INCOMPAT_ZTAILPACKING |
  F.FEATURE_INCOMPAT_FRAGMENTS |
  F.FEATURE_INCOMPAT_XATTR_PREFIXES |
  F.FEATURE_INCOMPAT_48BIT;

/** @throws DATA_LOSS when it is no EROFS image or damaged, NOT_IMPLEMENTED when its features are unknown */
export function decodeSuperblock(bytes: ImageBytes): Superblock {
  const at = bytes.locate(F.EROFS_SUPER_OFFSET, F.EROFS_SUPER_SIZE);
  const b = bytes.buffer;
  if (b.readUInt32LE(at + F.SB.magic) !== F.EROFS_SUPER_MAGIC_V1)
    throw new MicaError('DATA_LOSS', 'open index: this is no EROFS image');
  const featureIncompat = b.readUInt32LE(at + F.SB.feature_incompat);
  const blockBits = b.readUInt8(at + F.SB.blkszbits);
  refuseUnknown(featureIncompat, blockBits, b.readUInt8(at + F.SB.dirblkbits));
  const wide = (featureIncompat & F.FEATURE_INCOMPAT_48BIT) !== 0;
  const wideRoot = wide ? quad(b, at + F.SB.rootnid_8b) : 0;
  const blockSize = 2 ** blockBits;
  const superblock = {
    blockBits,
    root: wideRoot || b.readUInt16LE(at + F.SB.rootnid_2b),
    inodes: quad(b, at + F.SB.inos),
    uuid: b.toString('hex', at + F.SB.uuid, at + F.SB.volume_name),
    epoch: b.readInt32LE(at + F.SB.epoch + 4) * 2 ** 32 + b.readUInt32LE(at + F.SB.epoch),
    fixedNs: b.readUInt32LE(at + F.SB.fixed_nsec),
    metaStart: b.readUInt32LE(at + F.SB.meta_blkaddr) * blockSize,
    xattrStart: b.readUInt32LE(at + F.SB.xattr_blkaddr) * blockSize,
    featureCompat: b.readUInt32LE(at + F.SB.feature_compat),
    featureIncompat,
    prefixCount: b.readUInt8(at + F.SB.xattr_prefix_count),
    prefixStart: b.readUInt32LE(at + F.SB.xattr_prefix_start) * 4,
    packedNid: quad(b, at + F.SB.packed_nid),
  };
  const count =
    featureIncompat & F.FEATURE_INCOMPAT_DEVICE_TABLE ? b.readUInt16LE(at + F.SB.extra_devices) : 0;
  const slots = b.readUInt16LE(at + F.SB.devt_slotoff) * F.EROFS_DEVT_SLOT_SIZE;
  verifyChecksum(bytes, superblock.featureCompat, blockSize);
  return { ...superblock, ...decodeDevices(bytes, slots, { count, blockSize, wide }) };
}

function refuseUnknown(incompat: number, blockBits: number, dirBlockBits: number): void {
  const unknown = incompat & ~KNOWN;
  if (unknown !== 0)
    throw new MicaError(
      'NOT_IMPLEMENTED',
      `open index: features 0x${(unknown >>> 0).toString(16)} are not known to this version`,
    );
  if (blockBits < 9 || blockBits > 16)
    throw new MicaError('NOT_IMPLEMENTED', `open index: blocks of 2^${blockBits} bytes`);
  if (dirBlockBits !== 0)
    throw new MicaError('NOT_IMPLEMENTED', 'open index: directory blocks of another size');
}

function decodeDevices(
  bytes: ImageBytes,
  offset: number,
  table: { readonly count: number; readonly blockSize: number; readonly wide: boolean },
): Pick<Superblock, 'devices' | 'places'> {
  const at = bytes.locate(offset, table.count * F.EROFS_DEVT_SLOT_SIZE);
  const b = bytes.buffer;
  const word = (slot: number, low: number, high: number): number =>
    b.readUInt32LE(slot + low) + (table.wide ? b.readUInt16LE(slot + high) * 2 ** 32 : 0);
  const devices: IndexDevice[] = [];
  const places: Place[] = [];
  for (let device = 1; device <= table.count; device++) {
    const slot = at + (device - 1) * F.EROFS_DEVT_SLOT_SIZE;
    const tag = b.toString('latin1', slot, slot + F.DEVICE_TAG_SIZE).split('\0', 1)[0]!;
    const length = word(slot, F.DEVICE_SLOT.blocks_lo, F.DEVICE_SLOT.blocks_hi);
    const start = word(slot, F.DEVICE_SLOT.uniaddr_lo, F.DEVICE_SLOT.uniaddr_hi);
    devices.push({ tag, size: length * table.blockSize });
    if (start > 0 && length > 0) places.push({ device, start, length });
  }
  return { devices, places: places.sort((one, other) => one.start - other.start) };
}

/** How much of the image the checksum covers, from the superblock on. */
const checksummed = (blockSize: number): number =>
  blockSize > F.EROFS_SUPER_OFFSET ? blockSize - F.EROFS_SUPER_OFFSET : blockSize;

/** Our own images have a checksum that the feature flag does not announce. */
function verifyChecksum(bytes: ImageBytes, featureCompat: number, blockSize: number): void {
  const length = checksummed(blockSize);
  const at = bytes.locate(F.EROFS_SUPER_OFFSET, length);
  const block = Buffer.from(bytes.buffer.subarray(at, at + length));
  const stored = block.readUInt32LE(F.SB.checksum);
  if (stored === 0 && (featureCompat & F.FEATURE_COMPAT_SB_CHKSUM) === 0) return;
  if (crc32c(block.fill(0, F.SB.checksum, F.SB.checksum + 4)) !== stored)
    throw new MicaError('DATA_LOSS', 'open index: the checksum of its superblock is wrong');
}

/** A 64-bit number; what is beyond 2^53 comes out as what no check lets pass. */
const quad = (b: Buffer, at: number): number =>
  b.readUInt32LE(at) + b.readUInt32LE(at + 4) * 2 ** 32;

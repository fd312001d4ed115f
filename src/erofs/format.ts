/**
 * The on-disk format of EROFS, as far as Mica writes and reads it. Everything is little endian.
 *
 * Names are those of the kernel's header, so that either can be read beside the other.
 * @see https://github.com/torvalds/linux/blob/v6.16/fs/erofs/erofs_fs.h
 * @see https://github.com/torvalds/linux/blob/v6.16/Documentation/filesystems/erofs.rst
 */

export const EROFS_SUPER_MAGIC_V1 = 0xe0f5e1e2;
export const EROFS_SUPER_OFFSET = 1024;
/** Size of `struct erofs_super_block` without extension slots. */
export const EROFS_SUPER_SIZE = 128;
export const EROFS_DEVT_SLOT_SIZE = 128;
/** Inodes are aligned to slots of this size; an inode number counts them from the metadata's start. */
export const EROFS_SLOT_BITS = 5;
export const EROFS_NAME_LEN = 255;
/** The kernel reads link targets through one page with a terminator. */
export const EROFS_SYMLINK_MAX = 4095;

/** Offsets in `struct erofs_super_block`. */
export const SB = {
  magic: 0x00,
  checksum: 0x04,
  feature_compat: 0x08,
  blkszbits: 0x0c,
  sb_extslots: 0x0d,
  rootnid_2b: 0x0e,
  inos: 0x10,
  epoch: 0x18,
  fixed_nsec: 0x20,
  blocks_lo: 0x24,
  meta_blkaddr: 0x28,
  xattr_blkaddr: 0x2c,
  uuid: 0x30,
  volume_name: 0x40,
  feature_incompat: 0x50,
  extra_devices: 0x56,
  devt_slotoff: 0x58,
  dirblkbits: 0x5a,
  xattr_prefix_count: 0x5b,
  xattr_prefix_start: 0x5c,
  packed_nid: 0x60,
  rootnid_8b: 0x70,
} as const;

export const FEATURE_COMPAT_SB_CHKSUM = 0x1;
export const FEATURE_COMPAT_MTIME = 0x2;
export const FEATURE_COMPAT_PLAIN_XATTR_PFX = 0x10;

export const FEATURE_INCOMPAT_ZERO_PADDING = 0x01;
export const FEATURE_INCOMPAT_COMPR_CFGS = 0x02;
export const FEATURE_INCOMPAT_CHUNKED_FILE = 0x04;
export const FEATURE_INCOMPAT_DEVICE_TABLE = 0x08;
export const FEATURE_INCOMPAT_ZTAILPACKING = 0x10;
export const FEATURE_INCOMPAT_FRAGMENTS = 0x20;
export const FEATURE_INCOMPAT_XATTR_PREFIXES = 0x40;
export const FEATURE_INCOMPAT_48BIT = 0x80;

/** Offsets in `struct erofs_deviceslot`. */
export const DEVICE_SLOT = {
  blocks_lo: 0x40,
  uniaddr_lo: 0x44,
  blocks_hi: 0x48,
  uniaddr_hi: 0x4c,
} as const;
export const DEVICE_TAG_SIZE = 64;

export const INODE_COMPACT_SIZE = 32;
export const INODE_EXTENDED_SIZE = 64;

/** Offsets that both inode forms share, then those of `struct erofs_inode_compact` and `_extended`. */
export const INODE = {
  i_format: 0x00,
  i_xattr_icount: 0x02,
  i_mode: 0x04,
  i_nb: 0x06,
  i_size: 0x08,
  i_u: 0x10,
  i_ino: 0x14,
} as const;
export const COMPACT = { i_mtime: 0x0c, i_uid: 0x18, i_gid: 0x1a } as const;
export const EXTENDED = {
  i_uid: 0x18,
  i_gid: 0x1c,
  i_mtime: 0x20,
  i_mtime_nsec: 0x28,
  i_nlink: 0x2c,
} as const;

/** `i_format`: bit 0 is the inode's form, bits 1 to 3 its data layout, bit 4 depends on the type. */
export const INODE_LAYOUT_EXTENDED = 1;
export const I_DATALAYOUT_BIT = 1;
export const I_DATALAYOUT_MASK = 7;
/**
 * Bit 4, of compact inodes that are no directories: the link count is 1, `i_nb` is something else.
 * Of directories: they have no entry `.`.
 */
export const I_NLINK_1 = 0x10;
export const I_ALL = 0x1f;

export const INODE_FLAT_PLAIN = 0;
export const INODE_COMPRESSED_FULL = 1;
export const INODE_FLAT_INLINE = 2;
export const INODE_COMPRESSED_COMPACT = 3;
export const INODE_CHUNK_BASED = 4;

export const CHUNK_FORMAT_BLKBITS_MASK = 0x1f;
export const CHUNK_FORMAT_INDEXES = 0x20;
export const CHUNK_FORMAT_48BIT = 0x40;
export const CHUNK_FORMAT_ALL = 0x7f;
/** `struct erofs_inode_chunk_index`: startblk_hi u16, device_id u16, startblk_lo u32. */
export const CHUNK_INDEX_SIZE = 8;
export const BLOCK_MAP_ENTRY_SIZE = 4;
/** A chunk that is a hole. */
export const NULL_ADDR = 0xffffffff;

/** `struct erofs_dirent`: nid u64, nameoff u16, file_type u8, reserved u8. */
export const DIRENT_SIZE = 12;
/** `file_type` by the type bits of a mode, shifted right by 12. */
export const FILE_TYPES: readonly number[] = [0, 5, 3, 0, 2, 0, 4, 0, 1, 0, 7, 0, 6, 0, 0, 0];

/** `struct erofs_xattr_ibody_header`: h_name_filter u32, h_shared_count u8, 7 reserved. */
export const XATTR_IBODY_HEADER_SIZE = 12;
export const XATTR_SHARED_COUNT = 4;
export const XATTR_SHARED_MAX = 255;
/** `struct erofs_xattr_entry`: e_name_len u8, e_name_index u8, e_value_size u16, name, value; aligned to 4. */
export const XATTR_ENTRY_SIZE = 4;
export const XATTR_LONG_PREFIX = 0x80;
/** By `e_name_index`. 2 and 3 are whole names. */
export const XATTR_PREFIXES: readonly (string | undefined)[] = [
  undefined,
  'user.',
  'system.posix_acl_access',
  'system.posix_acl_default',
  'trusted.',
  undefined,
  'security.',
];

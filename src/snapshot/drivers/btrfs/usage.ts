import { setImmediate } from 'node:timers/promises';
import type { Abortable } from '../../../io/bytes.ts';
import { ITEM, search, u64 } from '../../../sys/btrfs/search.ts';
import type { Subvolume } from '../../../sys/btrfs/subvolume.ts';
import type { Usage } from '../../driver.ts';

/** Of `struct btrfs_inode_item`: the transaction that changed it last. */
const CHANGED = 8;
/** Of `struct btrfs_file_extent_item`. */
const EXTENT = { created: 0, type: 20, bytenr: 21, bytes: 29, inline: 21 } as const;
const INLINE = 0;
/** Items looked at before others get their turn. */
const SLICE = 20_000;

/**
 * What was written into a subvolume since it was made, as far as it has reached the disk: extents, as
 * the disk counts them, each once, and the files that were changed. What a snapshot has of the
 * subvolume that it was made of is not looked at.
 *
 * Quota groups would count what is shared with nobody: nothing any more of a layer that others stand on.
 */
export async function ownUsage(
  fd: number,
  { id, snapshotted }: Subvolume,
  { signal }: Abortable = {},
): Promise<Usage> {
  const extents = new Set<number>();
  let [size, inodes, looked] = [0, 0, 0];
  for (const { type, data } of search(fd, { tree: id, since: snapshotted })) {
    if (++looked % SLICE === 0) await setImmediate();
    signal?.throwIfAborted();
    if (type === ITEM.inode && u64(data, CHANGED) > snapshotted) inodes++;
    if (type !== ITEM.extentData || u64(data, EXTENT.created) <= snapshotted) continue;
    if (data[EXTENT.type] === INLINE) size += data.length - EXTENT.inline;
    else {
      const place = u64(data, EXTENT.bytenr);
      if (place === 0 || extents.size === extents.add(place).size) continue;
      size += u64(data, EXTENT.bytes);
    }
  }
  return { size, inodes };
}

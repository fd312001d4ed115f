import type { Extent } from '../erofs/node.ts';
import type { Entry } from '../tar/entry.ts';

/** Where a file's content lies in its layer's tar. */
export function extentsOf({ sparse, dataOffset, dataSize, size }: Entry): Extent[] {
  if (sparse === undefined)
    return size === 0 ? [] : [{ logical: 0, device: 1, physical: dataOffset, length: dataSize }];
  let physical = dataOffset;
  const extents: Extent[] = [];
  for (const { offset, length } of sparse) {
    if (length > 0) extents.push({ logical: offset, device: 1, physical, length });
    physical += length;
  }
  return extents;
}

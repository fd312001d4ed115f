import type { FileStat } from '../../sys/stat.ts';
import { entriesOf, type Source } from './source.ts';

/** A moment by the clock of the tree's file system. */
export interface Moment {
  /** Since 1970. */
  readonly seconds: number;
  readonly nanoseconds: number;
}

/** A directory that shows everything: what it does not have is gone. */
export function wholeTree(root: string, since?: Moment): Source {
  return {
    root,
    list: ({ fd }) => ({ entries: entriesOf(fd), deleted: [], complete: true }),
    check() {},
    isUntouched: ({ ctime, ctimeNs }: FileStat) =>
      since !== undefined &&
      // Without a fraction it may have been cut off, as zfs-fuse does: that second counts as after.
      (ctime < since.seconds ||
        (ctime === since.seconds && ctimeNs !== 0 && ctimeNs < since.nanoseconds)),
  };
}

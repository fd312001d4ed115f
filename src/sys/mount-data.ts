/** A mount(2) call as data: snapshotters and drivers emit it, `sys/mount.ts` alone interprets it. */
export interface Mount {
  /** `bind`, `overlay`, `erofs`, … */
  readonly type: string;
  readonly source: string;
  /** As in fstab; `lowerdir=` may list any number of directories. */
  readonly options: readonly string[];
}

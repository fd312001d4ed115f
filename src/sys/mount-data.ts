/** A mount(2) call as data: snapshotters and drivers emit it, `sys/mount.ts` alone interprets it. */
export interface Mount {
  /** `bind`, `overlay`, `erofs`, … */
  readonly type: string;
  readonly source: string;
  /** As in fstab; `lowerdir=` may list any number of directories. */
  readonly options: readonly string[];
  /**
   * Absolute path of a mount point that stacks of one store share, whoever mounts them: mounted
   * there unless it already is, and it stays when the list is undone. Absent: on what the caller
   * of `performMounts` names.
   */
  readonly target?: string;
  /**
   * With `target`: UUID of the file system that belongs there. Another one found there is stale and
   * is replaced. Absent: what belongs there is known by its `source`.
   */
  readonly uuid?: string;
}

/** What many use on one mount point. */
export type SharedMount = Mount & { readonly target: string };

/** Overlay's `lowerdir=` option for `paths`, nearest first; `:` and `\` in them are escaped. */
export const lowerdirOption = (paths: readonly string[]): string =>
  `lowerdir=${paths.map((path) => path.replace(/[\\:]/g, String.raw`\$&`)).join(':')}`;

/** The directories of a `lowerdir=` value, nearest first. */
export const parseLowerdir = (value: string): string[] =>
  (value.match(/(?:\\.|[^\\:])+/gs) ?? []).map((path) => path.replace(/\\(.)/gs, '$1'));

import { MicaError } from '../../errors.ts';
import { lowerdirOption, type Mount } from '../../sys/mount-data.ts';
import type { Snapshot, SnapshotKind } from '../driver.ts';

/** How the kernel's overlayfs stacks directories, whatever they are made of. */

/** OVL_MAX_STACK of the kernel. */
export const MAX_LOWERS = 500;

/** A snapshot's own directories. */
export interface OwnDirectories {
  readonly kind: SnapshotKind;
  readonly fs: string;
  /** Overlayfs' scratch directory, of an active snapshot. */
  readonly work: string;
}

/**
 * Nearest first, each once: unions refuse a directory that they have already (overlayfs: ELOOP), and
 * images often repeat a layer. What a layer says a second time, further down, is all hidden by the first.
 *
 * @throws NOT_IMPLEMENTED when there are more than what stacks them takes
 */
export function stacked({ id, parents }: Snapshot, { by, most, advice }: Stacking): string[] {
  const once = [...new Set(parents)];
  if (once.length <= most) return once;
  throw new MicaError(
    'NOT_IMPLEMENTED',
    `layer ${id} stands on ${once.length} others, ${by} stacks ${most}; ${advice}`,
  );
}

/** What stacks directories. */
export interface Stacking {
  /** Its name, for people. */
  readonly by: string;
  /** Of how many directories, besides a snapshot's own. */
  readonly most: number;
  /** What to do when there are more, for people. */
  readonly advice: string;
}

/** What a snapshot that stands on nothing shows. */
export const bindOf = ({ kind, fs }: OwnDirectories): Mount => ({
  type: 'bind',
  source: fs,
  options: ['rbind', kind === 'active' ? 'rw' : 'ro'],
});

/** What a snapshot shows that stands on `lowers`, nearest first. */
export function overlayOf({
  kind,
  fs,
  work,
  lowers,
  userxattr = false,
}: OwnDirectories & { readonly lowers: readonly string[]; readonly userxattr?: boolean }): Mount {
  // A view's own directory on top is its root, and makes a union of a single layer, too: a bind
  // would show how whiteouts are spelled.
  const all = kind === 'view' && lowers.length < MAX_LOWERS ? [fs, ...lowers] : lowers;
  const upper = kind === 'active' ? [`upperdir=${fs}`, `workdir=${work}`] : ['ro'];
  const options = [...upper, ...behaviour(userxattr), lowerdirOption(all)];
  return { type: 'overlay', source: 'overlay', options };
}

/**
 * What a snapshot's directory holds must mean the same in every stack that it becomes part of, and
 * what a layer says about other directories must mean nothing. (`userxattr` implies as much.)
 */
const behaviour = (userxattr: boolean): string[] =>
  userxattr ? ['userxattr'] : ['redirect_dir=nofollow', 'metacopy=off', 'index=off'];

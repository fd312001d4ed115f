import { mkdirSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { errnoOf, fromNode } from '../../sys/errno.ts';
import type { Mount } from '../../sys/mount-data.ts';
import { dropShared, releaseShared } from '../../sys/mount/shared.ts';
import type { Snapshot } from '../driver.ts';

/**
 * Mount points of trees that are file systems of their own: `run/trees/<id>` beside the `layers`
 * directory. `layers/<id>/fs` is a link to it, so that whatever walks, renames or removes what lies
 * in `layers` never does so in a tree.
 */
export class TreeMounts {
  readonly #layers: string;
  readonly #points: string;

  /** @param layers - the store's `layers` directory */
  constructor(layers: string) {
    this.#layers = layers;
    this.#points = join(dirname(layers), 'run', 'trees');
  }

  /** Where the tree of `id` is shown, once it is mounted. */
  point(id: string): string {
    return join(this.#points, id);
  }

  /** Makes the directory of `id`, with the link in it. */
  make(id: string): void {
    const directory = join(this.#layers, id);
    try {
      mkdirSync(directory, { recursive: true, mode: 0o755 });
      symlinkSync(join('..', '..', 'run', 'trees', id), join(directory, 'fs'));
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw fromNode(error);
    }
  }

  /** What a snapshot shows, once its tree is mounted. */
  bind(snapshot: Snapshot): Mount {
    const access = snapshot.kind === 'active' ? 'rw' : 'ro';
    return { type: 'bind', source: this.point(shownBy(snapshot)), options: ['rbind', access] };
  }

  /** Ends the mounts that no snapshot shows and nobody holds. */
  release(mountable: () => readonly Snapshot[]): Promise<void> {
    return releaseShared(this.#points, () => new Set(mountable().map(shownBy)));
  }

  /** Ends the mount of a tree that is going, or about to be frozen. */
  drop(id: string): Promise<void> {
    return dropShared(this.point(id));
  }
}

/** Id of the tree that a snapshot shows: a view has none of its own, if it stands on something. */
export const shownBy = ({ id, kind, parents: [parent] }: Snapshot): string =>
  kind === 'view' && parent !== undefined ? parent : id;

import type { Abortable } from '../../io/bytes.ts';

export interface MigrateOptions extends Abortable {
  /** Name of the storage driver that the store is to have. */
  readonly driver: string;
  /** Only tell what would be done, and what would be in the way. */
  readonly dryRun?: boolean | undefined;
  /** How long the change waits for others that have the store open, in milliseconds. Default 30 seconds. */
  readonly patience?: number | undefined;
  readonly onProgress?: ((event: MigrateEvent) => void) | undefined;
}

/** What a change of the storage driver comes to, or has come to. */
export interface Migration {
  readonly from: string;
  readonly to: string;
  /** Every layer that images and snapshots stand on, below before above. */
  readonly layers: readonly MigratedLayer[];
  /** Estimate of what is written, in bytes: until the change is over both copies are there. */
  readonly bytes: number;
  /** Free space before, in bytes. */
  readonly free: number;
  /** What an unfinished change to another driver had made, on disk in bytes, where this one has given it up. */
  readonly freed: number;
  /** What would keep the change from being made now, for people. Empty once it is made. */
  readonly obstacles: readonly string[];
}

export interface MigratedLayer {
  /** DiffID; chainID, where the tree depends on what is below; the snapshot's name, where it has neither. */
  readonly key: string;
  readonly source: LayerSource;
  /** Estimate of what is written for it, in bytes. */
  readonly bytes: number;
}

/**
 * Where a layer in the new driver's form comes from:
 *  - `kept`: both drivers keep it the same way · `there`: an earlier attempt made it
 *  - `tar`: the uncompressed tar that the old driver keeps · `blob`: the layer as it was pulled
 *  - `registry`: the blob is not in the store and is fetched again
 *  - `files`: it was committed here, and its files are packed, or they give its archive again · `none`: there is nothing to make it from
 */
export type LayerSource = 'kept' | 'there' | 'tar' | 'blob' | 'registry' | 'files' | 'none';

export type MigrateEvent =
  | { readonly type: 'planned'; readonly layers: number; readonly bytes: number }
  /** `done` bytes of `total` of the archive that the layer is made from. */
  | {
      readonly type: 'bytes';
      readonly key: string;
      readonly done: number;
      readonly total: number;
    }
  | { readonly type: 'made'; readonly key: string; readonly source: LayerSource }
  /** Others have the store open; the change is made when they have ended. */
  | { readonly type: 'waiting'; readonly holders: readonly string[] }
  /** From here on the store has the new driver; layers of the old one are removed. */
  | { readonly type: 'changed'; readonly removing: number };

import { join } from 'node:path';
import type { Descriptor } from '../../oci/descriptor.ts';
import { TAR_FILE } from '../../layer/index-output.ts';
import type { UnpackJob } from '../../layer/unpack-job.ts';
import type { DiffId } from '../../oci/digest.ts';
import { OCI_LAYER } from '../../oci/media-type.ts';
import { type Driver, isOfChain } from '../../snapshot/driver.ts';
import {
  layerDirectory,
  type LayerRecord,
  type LayerRow,
  LayerRows,
  toRecord,
} from '../../snapshot/layer-rows.ts';
import type { LayerStore } from '../../snapshot/layers.ts';
import { type SnapshotRow, SnapshotRows } from '../../snapshot/snapshot-rows.ts';
import type { Store } from '../context.ts';
import type { LayerSource } from './migration.ts';
import { type BlobOrigin, originsOf } from './origins.ts';
import { roomOf } from './room.ts';

/** A layer that the new driver needs, once for all snapshots that stand on it. */
export interface Step {
  /** What its row is found by: diffID or chainID, as in a pull. */
  readonly key: string;
  /** As the store's driver keeps it now. */
  readonly old: LayerRecord;
  /** `undefined`: it was committed without one. */
  readonly diffId: DiffId | undefined;
  /** Numbers of the committed snapshots. */
  readonly snapshots: number[];
  /** The layers below, nearest first; `undefined`: its tree is the same on all. */
  readonly parents: readonly Step[] | undefined;
  readonly state: LayerSource;
  /** What it can be made from, best first; none where nothing has to be made. */
  readonly sources: readonly StepSource[];
  /** Estimate of its size, in bytes. */
  readonly size: number;
}

export type StepSource =
  /** A file of the store. */
  | { readonly kind: 'tar' | 'blob'; readonly file: LayerFile }
  | { readonly kind: 'registry'; readonly target: Descriptor; readonly repository: string }
  /** What was written into a snapshot and committed, without an archive of it; or what has one that can be made again. */
  | { readonly kind: 'files' };

export type LayerFile = Pick<UnpackJob, 'blob' | 'size' | 'digest' | 'mediaType'>;

export interface Target {
  readonly driver: Driver;
  readonly layers: LayerStore;
}

/** Nothing has to be made: it is the same driver, or both keep layers as `layer.tar` and `index.erofs`. */
export const keepsAlike = ({ choice: { driver: from } }: Store, { driver }: Target): boolean =>
  from.name === driver.name || (from.form === 'tar' && driver.form === 'tar');

/** The tars go, and with them what dropped blobs are made from. */
export const losesTars = ({ choice }: Store, { driver }: Target): boolean =>
  choice.driver.form === 'tar' && driver.form !== 'tar';

/** Whether it has still to be made. */
export const isMissing = ({ state }: Step): boolean => state !== 'kept' && state !== 'there';

/** Estimate of what is still to be written, in bytes. */
export const bytesOf = (steps: readonly Step[]): number =>
  steps.filter(isMissing).reduce((sum, { size }) => sum + size, 0);

/**
 * The layers of all committed snapshots, those below first, and all of one height together: so the
 * layers of several images are made at once even where each needs the one below it.
 */
export async function planSteps(store: Store, target: Target): Promise<Step[]> {
  const { db } = store;
  const rows = new Map(new LayerRows(db).all().map((row) => [row.id, row]));
  const origins = originsOf(db);
  const steps = new Map<string, Step>();
  /** Of each snapshot, its own step and those below, nearest first. */
  const chains = new Map<number, readonly Step[]>();
  for (const { id, name, parent, layer } of byHeight(new SnapshotRows(db).list())) {
    const row = rows.get(layer)!;
    const below = parent === null ? [] : chains.get(parent)!;
    const from = origins.get(row.diff_id!) ?? [];
    const parents =
      needsParents(store, target, row, from) || below.length === 0 ? below : undefined;
    const key = parents === undefined || below.length === 0 ? (row.diff_id ?? name) : name;
    const step =
      steps.get(key) ??
      (await stepOf(store, target, {
        key,
        old: toRecord(row, layerDirectory(db, layer)),
        diffId: row.diff_id ?? undefined,
        parents,
        origins: from,
      }));
    step.snapshots.push(id);
    steps.set(key, step);
    chains.set(id, [step, ...below]);
  }
  return [...steps.values()];
}

interface Wanted extends Pick<Step, 'key' | 'old' | 'diffId' | 'parents'> {
  readonly origins: readonly BlobOrigin[];
}

async function stepOf(store: Store, target: Target, wanted: Wanted): Promise<Step> {
  const { origins, ...rest } = wanted;
  const { id, facts } = wanted.old;
  const size =
    facts === undefined
      ? (await store.choice.driver.usage({ id: String(id), kind: 'committed', parents: [] })).size
      : roomOf(target.driver, facts, wanted.parents);
  const step = { ...rest, snapshots: [], size, sources: [] };
  if (keepsAlike(store, target)) return { ...step, state: 'kept' };
  if (target.layers.find(wanted.key) !== undefined) return { ...step, state: 'there' };
  const sources = await sourcesOf(store, wanted.old, origins);
  return { ...step, sources, state: sources[0]?.kind ?? 'none' };
}

async function sourcesOf(
  { content }: Store,
  { form, facts, directory }: LayerRecord,
  origins: readonly BlobOrigin[],
): Promise<StepSource[]> {
  const files: StepSource[] = [];
  const remote: StepSource[] = [];
  if (form === 'tar' && facts !== undefined) {
    // An uncompressed tar is its own diffID.
    const { diffId: digest, tarSize: size } = facts;
    const file = { blob: join(directory, TAR_FILE), size, digest, mediaType: OCI_LAYER };
    files.push({ kind: 'tar', file });
  }
  for (const { target, repositories } of origins) {
    if (!content.isDropped(target.digest) && (await content.has(target)))
      files.push({ kind: 'blob', file: { ...target, blob: content.path(target.digest) } });
    for (const repository of repositories) remote.push({ kind: 'registry', target, repository });
  }
  if (form === 'windows' || (origins.length === 0 && form !== 'tar')) files.push({ kind: 'files' });
  return [...files, ...remote];
}

/** Whether it is made on the layers below. What was committed here is found by comparing with them. */
const needsParents = (
  { layers }: Store,
  { driver }: Target,
  { form, diff_id }: LayerRow,
  origins: readonly BlobOrigin[],
): boolean =>
  isOfChain(driver.form) ||
  (origins.length === 0 && form !== 'tar') ||
  (diff_id !== null && layers.isDependent(diff_id));

/** Committed snapshots, each after its parent, and those of one height together. */
function byHeight(all: readonly SnapshotRow[]): SnapshotRow[] {
  const children = Map.groupBy(
    all.filter(({ kind }) => kind === 'committed'),
    ({ parent }) => parent,
  );
  const sorted: SnapshotRow[] = [...(children.get(null) ?? [])];
  for (const { id } of sorted) sorted.push(...(children.get(id) ?? []));
  return sorted;
}

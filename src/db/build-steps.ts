import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import type { Descriptor } from '../oci/descriptor.ts';
import type { DiffId, Digest } from '../oci/digest.ts';
import type { Database } from './database.ts';

/** What a step of a build made, so that it need not be made again. */
export interface BuildStepRecord {
  /** Digest of everything that the result depends on. */
  readonly key: Digest;
  /** `run`, `copy`, … */
  readonly kind: string;
  /** The instruction, as it was written. */
  readonly source: string;
  /** ChainID of what it was put on; '' for nothing. */
  readonly parent: string;
  /** `undefined`: it changed nothing. */
  readonly layer: BuildStepLayer | undefined;
  /** RFC 3339: the time that the step stands for. */
  readonly created: string;
  readonly madeAt: Date;
  readonly usedAt: Date;
}

export interface BuildStepLayer {
  readonly descriptor: Descriptor;
  readonly diffId: DiffId;
  readonly chainId: string;
}

/** What a step depends on: names for people, and values that are compared. */
export type StepInputs = readonly (readonly [name: string, value: string])[];

interface Row {
  readonly key: Digest;
  readonly kind: string;
  readonly source: string;
  readonly parent: string;
  readonly layer: string | null;
  readonly created: string;
  readonly inputs: Uint8Array;
  readonly made: number;
  readonly used: number;
}

export function putBuildStep(
  db: Database,
  step: Omit<BuildStepRecord, 'madeAt' | 'usedAt'>,
  inputs: StepInputs,
): void {
  const now = Date.now();
  db.transaction(() => {
    db.run(
      `insert or replace into build_step (key, kind, source, parent, layer, created, inputs, made, used)
       values (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      step.key,
      step.kind,
      step.source,
      step.parent,
      step.layer === undefined ? null : JSON.stringify(step.layer),
      step.created,
      zstdCompressSync(JSON.stringify(inputs)),
      now,
      now,
    );
  });
}

export function findBuildStep(db: Database, key: Digest): BuildStepRecord | undefined {
  const row = db.get<Row>('select * from build_step where key = ?', key);
  return row && toRecord(row);
}

/** Says that the step was useful again. */
export function touchBuildStep(db: Database, key: Digest): void {
  db.run('update build_step set used = ? where key = ?', Date.now(), key);
}

/** Steps that are looked at for what is different: so many at most, and bytes. */
const [NEAREST, ENOUGH] = [32, 1 << 20];

/**
 * The inputs of the steps that are most like this one: of the same instruction, if possible at the
 * same place; then of others of its kind there.
 */
export function nearestInputs(
  db: Database,
  { kind, source, parent }: Pick<BuildStepRecord, 'kind' | 'source' | 'parent'>,
): StepInputs[] {
  const rows = db.all<Pick<Row, 'inputs'>>(
    `select inputs from build_step where kind = ?1 and (source = ?2 or parent = ?3)
      order by (source = ?2) * 2 + (parent = ?3) desc, used desc limit ?4`,
    kind,
    source,
    parent,
    NEAREST,
  );
  const found: StepInputs[] = [];
  let size = 0;
  for (const { inputs } of rows) {
    size += inputs.byteLength;
    if (found.length > 0 && size > ENOUGH) break;
    found.push(JSON.parse(zstdDecompressSync(inputs).toString()) as StepInputs);
  }
  return found;
}

export const listBuildSteps = (db: Database): BuildStepRecord[] =>
  db.all<Row>('select * from build_step order by used desc, key').map(toRecord);

/** Forgets steps that were not used since. In a transaction. */
export function dropBuildSteps(db: Database, usedBefore: Date): void {
  db.assertTransaction();
  db.run('delete from build_step where used < ?', usedBefore.getTime());
}

const toRecord = ({
  key,
  kind,
  source,
  parent,
  layer,
  created,
  made,
  used,
}: Row): BuildStepRecord => ({
  key,
  kind,
  source,
  parent,
  layer: layer === null ? undefined : (JSON.parse(layer) as BuildStepLayer),
  created,
  madeAt: new Date(made),
  usedAt: new Date(used),
});

import {
  type BuildStepLayer,
  type BuildStepRecord,
  findBuildStep,
  nearestInputs,
  putBuildStep,
  type StepInputs,
  touchBuildStep,
} from '../db/build-steps.ts';
import { chainIds, type Digest, sha256 } from '../oci/digest.ts';
import { compressionOf } from '../oci/media-type.ts';
import type { CacheAnswer, MissReason } from './event.ts';
import type { BuiltLayer } from './stage-state.ts';
import type { BuildLayers } from './store/layers.ts';

/** A step that may have been made before. */
export interface CachedStep {
  readonly kind: string;
  readonly source: string;
  /** ChainID of what it is put on, '' for nothing. */
  readonly parent: string;
  /** Everything else that its result depends on. */
  readonly inputs: StepInputs;
}

export interface StepResult {
  readonly layer: BuiltLayer | undefined;
  /** RFC 3339. */
  readonly created: string;
}

/** Raised when the same inputs give another result than before. */
const VERSION = 1;

/** Steps that were made in this store, by what they were made of. */
export class BuildCache {
  readonly #layers: BuildLayers;
  readonly #unwanted: boolean;

  /** @param unwanted - nothing is found, but what is made is kept */
  constructor(layers: BuildLayers, unwanted: boolean) {
    this.#layers = layers;
    this.#unwanted = unwanted;
  }

  /** @returns what the step made before; if that is of no use, why not */
  async find(
    step: CachedStep,
  ): Promise<{ readonly result: StepResult | undefined; readonly answer: CacheAnswer }> {
    const { db } = this.#layers.store;
    if (this.#unwanted) return missed([{ kind: 'unwanted' }]);
    const key = keyOf(step);
    const known = findBuildStep(db, key);
    if (known === undefined) return missed(this.#reasons(step));
    if (known.layer !== undefined && !(await this.#isOfUse(known.layer)))
      return missed([{ kind: 'gone' }]);
    touchBuildStep(db, key);
    return { result: known, answer: { hit: true, since: known.madeAt } };
  }

  /** Still there, and compressed as is wanted now. */
  async #isOfUse(layer: BuildStepLayer): Promise<boolean> {
    const { compression = 'gzip' } = this.#layers.compression;
    if (compressionOf(layer.descriptor.mediaType) !== compression) return false;
    return await this.#layers.has(layer);
  }

  keep(step: CachedStep, { layer, created }: StepResult, below: readonly BuiltLayer[]): void {
    const record: Omit<BuildStepRecord, 'madeAt' | 'usedAt'> = {
      key: keyOf(step),
      kind: step.kind,
      source: step.source,
      parent: step.parent,
      layer: layer && stepLayer(layer, below),
      created,
    };
    putBuildStep(this.#layers.store.db, record, allInputs(step));
  }

  /** What is different from the earlier step of which least is. */
  #reasons(step: CachedStep): MissReason[] {
    const now = allInputs(step);
    const [least] = nearestInputs(this.#layers.store.db, step)
      .map((before) => differences(before, now))
      .toSorted((a, b) => a.length - b.length);
    return least ?? [{ kind: 'new' }];
  }
}

const missed = (
  reasons: readonly MissReason[],
): { readonly result: undefined; readonly answer: CacheAnswer } => ({
  result: undefined,
  answer: { hit: false, reasons },
});

const keyOf = (step: CachedStep): Digest =>
  sha256(Buffer.from(JSON.stringify([VERSION, step.kind, step.parent, step.inputs])));

/** What is compared when a step is missed: what it stands on is an input like others. */
const allInputs = ({ parent, inputs }: Pick<CachedStep, 'parent' | 'inputs'>): StepInputs => [
  [BELOW, parent],
  ...inputs,
];

const BELOW = 'the layers below';

function stepLayer(layer: BuiltLayer, below: readonly BuiltLayer[]): BuildStepLayer {
  const chainId = chainIds([...below, layer].map(({ diffId }) => diffId)).at(-1)!;
  return { ...layer, chainId };
}

function differences(before: StepInputs, now: StepInputs): MissReason[] {
  const old = new Map(before);
  const reasons: MissReason[] = [];
  for (const [input, value] of now) {
    const was = old.get(input);
    old.delete(input);
    if (was !== value)
      reasons.push({
        kind: was === undefined ? 'added' : 'changed',
        input,
        before: was,
        now: value,
      });
  }
  for (const [input, value] of old)
    reasons.push({ kind: 'removed', input, before: value, now: undefined });
  return reasons;
}

import { isCode } from '../errors.ts';
import type { Fill } from './bit-reader.ts';
import { describe } from './describe.ts';
import { type Model, MODELS } from './model.ts';
import type { ReadInto } from './plain.ts';

export interface Sample {
  /** Opens the stored bytes from their beginning. */
  readonly stored: () => Fill;
  /** Opens the data that they inflate to. */
  readonly data: () => ReadInto;
}

/** A model, and what it leaves to be said about some data, in bytes. */
export interface Fit {
  readonly model: Model;
  readonly script: number;
}

/** Of the data: all models are held against the first, the best of them against more. In bytes. */
const [GLANCE, LOOK] = [192 * 1024, 1536 * 1024];
/** Models that get the second look. */
const BEST = 4;

/**
 * The model that foretells best what the encoder of a gzip file did. Looks at the beginning only.
 * @throws DATA_LOSS when the file is none, or the data are not its data
 */
export function chooseModel(sample: Sample): Fit {
  const first = fits(sample, MODELS, GLANCE);
  const best = first.slice(0, BEST).map(({ model }) => model);
  return fits(sample, best, LOOK)[0]!;
}

function fits({ stored, data }: Sample, models: readonly Model[], upTo: number): Fit[] {
  const found: Fit[] = [];
  for (const model of models) {
    // No model that is taken says more than the best and as much again.
    const limit =
      found.length < BEST ? 8 * upTo : 2 * Math.max(...found.slice(0, BEST).map(sizeOf)) + 64;
    try {
      found.push({ model, script: describe(stored(), data(), model, { upTo, limit }).length });
      found.sort((a, b) => a.script - b.script);
    } catch (error) {
      if (!isCode(error, 'RESOURCE_EXHAUSTED') || found.length === 0) throw error;
    }
  }
  return found;
}

const sizeOf = ({ script }: Fit): number => script;

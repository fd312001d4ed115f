import * as v from 'valibot';
import type { Model } from '../../deflate/model.ts';
import { MicaError } from '../../errors.ts';

/**
 * How a layer's blob is made again from its tar, bit for bit.
 *
 *  - `none`: it is the tar
 *  - `gzip`: by our own encoder, which follows `model` except where the script (kept beside) says
 *    otherwise: this needs no library, and works as long as this format is understood
 *  - `zstd`: by libzstd, with these parameters, of this version
 */
export type Recipe =
  | { readonly kind: 'none' }
  | { readonly kind: 'gzip'; readonly format: 1; readonly model: Model }
  | ZstdRecipe;

export interface ZstdRecipe {
  readonly kind: 'zstd';
  /** Of libzstd. */
  readonly version: string;
  readonly level: number;
  readonly checksum: boolean;
  /** Whether the frame says how long its content is. */
  readonly sized: boolean;
  /** Threads: none, or any. */
  readonly workers: number;
}

const Natural = v.pipe(v.number(), v.integer(), v.minValue(0));

const TableModel = v.object({
  name: v.string(),
  hash: v.literal('table'),
  bits: v.pipe(Natural, v.minValue(8), v.maxValue(20)),
  block: v.pipe(Natural, v.minValue(64), v.maxValue(65_535)),
  margin: v.pipe(Natural, v.minValue(4)),
});

const ChainModel = v.object({
  name: v.string(),
  hash: v.picklist(['shift', 'multiply', 'crc']),
  bits: v.pipe(Natural, v.minValue(8), v.maxValue(20)),
  distance: v.tuple([Natural, Natural]),
  first: v.boolean(),
  tooFar: Natural,
  good: Natural,
  lazy: Natural,
  nice: Natural,
  chain: v.pipe(Natural, v.minValue(1)),
  insert: Natural,
});

const Schema = v.variant('kind', [
  v.object({ kind: v.literal('none') }),
  v.object({
    kind: v.literal('gzip'),
    format: v.literal(1),
    model: v.union([TableModel, ChainModel]),
  }),
  v.object({
    kind: v.literal('zstd'),
    version: v.string(),
    level: Natural,
    checksum: v.boolean(),
    sized: v.boolean(),
    workers: Natural,
  }),
]);

/** @throws DATA_LOSS when it is none that this version understands */
export function parseRecipe(text: string): Recipe {
  try {
    return v.parse(Schema, JSON.parse(text));
  } catch (cause) {
    throw new MicaError('DATA_LOSS', 'a recipe is damaged, or of a newer version of Mica', {
      cause,
    });
  }
}

/** For people: who made the blob, as far as can be told. */
export function describeRecipe(recipe: Recipe): string {
  if (recipe.kind === 'none') return 'not compressed';
  return recipe.kind === 'gzip'
    ? `gzip, like ${recipe.model.name}`
    : `zstd ${recipe.version} -${recipe.level}`;
}

/** Whether this process can follow it: libzstd gives other bytes in other versions. */
export const isUsable = (recipe: Recipe): boolean =>
  recipe.kind !== 'zstd' || recipe.version === process.versions.zstd;

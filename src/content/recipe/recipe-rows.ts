import type { Database } from '../../db/database.ts';
import { findLayerTar } from '../../db/layer-tar.ts';
import { MicaError } from '../../errors.ts';
import { type Digest, type DiffId, sha256 } from '../../oci/digest.ts';
import type { Found } from './find-recipe.ts';
import { describeRecipe, isUsable, parseRecipe, type Recipe } from './recipe.ts';

/** What is known about making a blob again. */
export interface RecipeFacts {
  readonly digest: Digest;
  readonly diffId: DiffId;
  readonly triedAt: Date;
  /** Why there is no recipe; `undefined`: there is one, and it was followed once. */
  readonly reason: string | undefined;
  /** For people: who made the blob, as far as can be told. */
  readonly compressor: string | undefined;
  /** Of the recipe, in bytes. */
  readonly size: number;
  /** What following it took. */
  readonly milliseconds: number;
}

/** A recipe with what it needs. */
export interface StoredRecipe {
  readonly recipe: Recipe;
  readonly data: Uint8Array;
  readonly tar: string;
}

interface FactsRow {
  readonly digest: Digest;
  readonly diff_id: DiffId;
  readonly tried: number;
  readonly reason: string | null;
  readonly compressor: string | null;
  readonly milliseconds: number | null;
  readonly size: number | null;
}

const FACTS = `select digest, diff_id, tried, reason, compressor, milliseconds, length(data) as size from recipe`;

/** Who says that there is no recipe. Another version may know better. */
const PROVER = `1, libzstd ${process.versions.zstd}`;

/** The table `recipe`. */
export class RecipeRows {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  all(): RecipeFacts[] {
    return this.#db.all<FactsRow>(`${FACTS} order by digest`).map(toFacts);
  }

  /** Writes down how a search ended. In a durable transaction: the blob may go once this is there. */
  put(digest: Digest, diffId: DiffId, found: Found): void {
    this.#db.assertTransaction();
    const made = 'recipe' in found ? found : undefined;
    this.#db.run(
      `insert or replace into recipe
         (digest, diff_id, tried, prover, reason, recipe, compressor, milliseconds, check_digest, data)
         values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      digest,
      diffId,
      Date.now(),
      PROVER,
      'reason' in found ? found.reason : null,
      made ? JSON.stringify(made.recipe) : null,
      made ? describeRecipe(made.recipe) : null,
      made?.milliseconds ?? null,
      made ? sha256(made.data) : null,
      made?.data ?? null,
    );
  }

  /** Blobs for which a search of this version has ended, well or not. */
  settled(): Set<Digest> {
    const rows = this.#db.all<{ digest: Digest; recipe: string | null; prover: string }>(
      'select digest, recipe, prover from recipe',
    );
    const ended = rows.filter(({ recipe, prover }) =>
      recipe === null ? prover === PROVER : understood(recipe),
    );
    return new Set(ended.map(({ digest }) => digest));
  }

  /** Whether the recipe needs nothing that another version of Node may not have. */
  lasts(digest: Digest): boolean {
    const row = this.#db.get<{ recipe: string }>(
      'select recipe from recipe where digest = ? and recipe is not null',
      digest,
    );
    return row !== undefined && understood(row.recipe) && parseRecipe(row.recipe).kind !== 'zstd';
  }

  /** Whether {@link find} finds something that can be followed. Cheap. */
  has(digest: Digest): boolean {
    const row = this.#db.get<{ recipe: string; diff_id: DiffId }>(
      'select recipe, diff_id from recipe where digest = ? and recipe is not null',
      digest,
    );
    if (row === undefined || findLayerTar(this.#db, row.diff_id) === undefined) return false;
    return understood(row.recipe);
  }

  /**
   * The recipe of a blob, if there is one, and the tar is there.
   * @throws DATA_LOSS when it is damaged
   */
  find(digest: Digest): StoredRecipe | undefined {
    const row = this.#db.get<{
      recipe: string;
      diff_id: DiffId;
      check_digest: Digest;
      data: Uint8Array;
    }>(
      'select recipe, diff_id, check_digest, data from recipe where digest = ? and recipe is not null',
      digest,
    );
    const tar = row && findLayerTar(this.#db, row.diff_id);
    if (row === undefined || tar === undefined) return undefined;
    if (sha256(row.data) !== row.check_digest)
      throw new MicaError('DATA_LOSS', `the recipe of ${digest} is damaged`);
    return { recipe: parseRecipe(row.recipe), data: row.data, tar };
  }

  remove(digest: Digest): void {
    this.#db.run('delete from recipe where digest = ?', digest);
  }
}

/** What is not is told by `find`. */
function understood(recipe: string): boolean {
  try {
    return isUsable(parseRecipe(recipe));
  } catch {
    return false;
  }
}

const toFacts = (row: FactsRow): RecipeFacts => ({
  digest: row.digest,
  diffId: row.diff_id,
  triedAt: new Date(row.tried),
  reason: row.reason ?? undefined,
  compressor: row.compressor ?? undefined,
  size: row.size ?? 0,
  milliseconds: row.milliseconds ?? 0,
});

import { RecipeRows } from '../../content/recipe/recipe-rows.ts';
import type { Database } from '../../db/database.ts';
import type { Digest } from '../../oci/digest.ts';
import type { Store } from '../context.ts';
import { keepsTar, type LayerBlob, layerBlobs } from './layer-blobs.ts';
import { repositories } from './origins.ts';
import type { Settled } from './settle.ts';

/** A blob that came back is kept as long, in milliseconds: whoever wanted it may want it again. */
const KEEP_RESTORED = 60 * 60 * 1000;

/**
 * Drops what can come back as `how` says, and nobody holds. In one transaction with all checks; the
 * files go afterwards, and after a crash at the next opening.
 * @param only - these blobs
 */
export async function drop(
  { db, content, leases }: Store,
  how: 'recreate' | 'refetch',
  done: Settled,
  only?: ReadonlySet<Digest>,
): Promise<void> {
  const comesBack = how === 'refetch' ? ({ hasOrigin }: LayerBlob) => hasOrigin : isMakeable(db);
  const gone = db.transaction(
    () => {
      const held = leases.held('blob');
      const origins = repositories(db);
      const known = new Set(content.dropped().map(({ digest }) => digest));
      const blobs = layerBlobs(db)
        .filter(({ layer, isPushed }) => layer !== undefined && !isPushed)
        .filter(({ target }) => only?.has(target.digest) ?? true)
        .filter(({ target }) => !held.has(target.digest))
        .filter(({ target }) => !known.has(target.digest) || !isRecent(db, target.digest))
        .filter(comesBack)
        .map(({ target: { digest } }) => ({ digest, how, origins: origins(digest) }));
      return content.drop(blobs);
    },
    // After a power loss no row may come back whose file is gone.
    { durable: true },
  );
  for (const { digest, size } of gone) {
    await content.delete(digest);
    done.dropped.push(digest);
    done.bytes += size;
  }
}

/** Another version of libzstd would give other bytes: then there must be a place to fetch them from. */
export function isMakeable(db: Database): (blob: LayerBlob) => boolean {
  const recipes = new RecipeRows(db);
  return (blob) =>
    keepsTar(blob) &&
    recipes.has(blob.target.digest) &&
    (blob.hasOrigin || recipes.lasts(blob.target.digest));
}

/** Of a blob that is here although it was dropped once. */
const isRecent = (db: Database, digest: Digest): boolean =>
  db.get(
    'select 1 from blob where digest = ? and created > ?',
    digest,
    Date.now() - KEEP_RESTORED,
  ) !== undefined;

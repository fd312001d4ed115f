import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { ContentStore } from '../content/content.ts';
import { findRecipe } from '../content/recipe/find-recipe.ts';
import { RecipeRows } from '../content/recipe/recipe-rows.ts';
import type { Database } from '../db/database.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { type DiffId, sha256 } from '../oci/digest.ts';
import { OCI_LAYER } from '../oci/media-type.ts';
import { reopenable } from './content.ts';
import { prose } from './prose.ts';

/** A layer's tar, and its blob. */
export const TAR: Buffer = prose(30_000);
export const BLOB: Buffer = gzipSync(TAR);
export const DIFF_ID: DiffId = sha256(TAR) as DiffId;
export const TARGET: Descriptor = {
  mediaType: `${OCI_LAYER}+gzip`,
  digest: sha256(BLOB),
  size: BLOB.length,
};

export interface OpenedStore {
  readonly db: Database;
  readonly store: ContentStore;
  readonly root: string;
}

/** Puts the blob into an empty store, durable, with the tar of its layer and perhaps its recipe. */
export async function storeLayerBlob(
  { db, store, root }: OpenedStore,
  { recipe = true }: { readonly recipe?: boolean } = {},
): Promise<void> {
  await store.push(TARGET, reopenable(BLOB));
  const directory = join(root, 'layers', '1');
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'layer.tar'), TAR);
  db.run(
    `insert into layer (id, driver, form, key, diff_id, state, created) values (1, 'tar', 'tar', ?, ?, 'ready', 0)`,
    DIFF_ID,
    DIFF_ID,
  );
  const found = await findRecipe({
    target: TARGET,
    blob: store.path(TARGET.digest),
    tar: join(directory, 'layer.tar'),
  });
  db.transaction(() => {
    store.ready([TARGET.digest]);
    if (recipe) new RecipeRows(db).put(TARGET.digest, DIFF_ID, found);
  });
}

import { join } from 'node:path';
import type { Database } from '../db/database.ts';
import { MicaError } from '../errors.ts';
import { hexOf } from '../oci/digest.ts';
import { LayerRows, layerDirectory } from '../snapshot/layer-rows.ts';
import { storedLayer } from '../union/stored.ts';
import type { UnionTree } from '../union/tree.ts';
import { openUnion, type UnionLayer } from '../union/union.ts';
import type { Context } from './context.ts';
import type { StoredImage } from './stored-image.ts';
import { findByName, storedImage } from './images.ts';

export interface TreeOptions {
  /** Only the `layers` lowest layers. Default: all. */
  readonly layers?: number | undefined;
}

/** @see Engine.tree */
export async function openTree(
  context: Context,
  name: string,
  options: TreeOptions = {},
): Promise<UnionTree> {
  const db = await context.reading();
  return unionOf(db, storedImage(db, findByName(db, name)), options);
}

export const unionOf = (db: Database, image: StoredImage, options: TreeOptions = {}): UnionTree =>
  openUnion(unionLayersOf(db, image, options), { os: image.config.os });

/** The layers of an image as this store keeps them, base first. */
export function unionLayersOf(
  db: Database,
  image: StoredImage,
  { layers }: TreeOptions = {},
): UnionLayer[] {
  if (layers !== undefined && (layers < 1 || layers > image.layers.length))
    throw new MicaError(
      'INVALID_ARGUMENT',
      `the image has ${image.layers.length} layers, not ${layers}`,
    );
  const chosen = image.layers.slice(0, layers);
  const missing = chosen.find(({ directory }) => directory === '');
  if (missing !== undefined)
    throw new MicaError(
      'FAILED_PRECONDITION',
      `layer ${missing.diffId} is not unpacked in this store; pull the image again`,
    );
  const rows = new LayerRows(db).all();
  const byDirectory = new Map(rows.map((row) => [layerDirectory(db, row.id), row]));
  const tars = new Map(
    rows.flatMap(({ id, form, diff_id }) =>
      form === 'tar' && diff_id !== null
        ? [[hexOf(diff_id), join(layerDirectory(db, id), 'layer.tar')]]
        : [],
    ),
  );
  return chosen.map(({ directory }) => {
    const { id, form } = byDirectory.get(directory)!;
    return storedLayer(directory, form, { tarOf: (hex) => tars.get(hex), hold: holder(db, id) });
  });
}

/** Loaded when a layer is read that has to be mounted for it. */
export const holder = (db: Database, layer: number) => async (): Promise<AsyncDisposable> => {
  const { holdLayers } = await import('../snapshot/trees.ts');
  return holdLayers(db, [layer]);
};

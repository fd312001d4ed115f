import type { UnionTree } from '../union/tree.ts';

/** Bytes that an image carries and nobody can see. */
export interface Waste {
  /** In bytes, all layers together. */
  readonly bytes: number;
  /** Of each layer, base first, in bytes. */
  readonly perLayer: readonly number[];
  /** Where they lie, largest first. */
  readonly files: readonly WastedFile[];
}

export interface WastedFile {
  readonly path: string;
  readonly raw: Uint8Array;
  /** The layer that carries it. */
  readonly layer: number;
  /** The layer that replaced or deleted it. */
  readonly hiddenBy: number;
  /** In bytes. */
  readonly size: number;
}

/**
 * What upper layers hide or delete: squashing the image would free it. Content with several names
 * is wasted only when none of them can be seen.
 */
export function wasteOf(tree: UnionTree): Waste {
  const hidden = new Map<string, WastedFile>();
  const seen = new Set<string>();
  let unnamed = 0;
  tree.survey((path) => {
    for (const { layer, file, hiddenBy } of path.versions) {
      if (file?.type !== 'file' || file.size === 0) continue;
      if (hiddenBy === undefined) {
        if (file.nlink > 1) seen.add(file.ino);
        continue;
      }
      const key = file.nlink > 1 ? file.ino : `only name ${unnamed++}`;
      if (hidden.has(key)) continue;
      hidden.set(key, { path: path.path, raw: path.raw, layer, hiddenBy, size: file.size });
    }
  });
  for (const ino of seen) hidden.delete(ino);
  const files = [...hidden.values()].sort((a, b) => b.size - a.size);
  const perLayer = Array.from({ length: tree.depth }, () => 0);
  for (const { layer, size } of files) perLayer[layer]! += size;
  return { bytes: perLayer.reduce((sum, size) => sum + size, 0), perLayer, files };
}

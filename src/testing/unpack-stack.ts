import { mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { copyTree } from '../fs/copy.ts';
import { Available } from '../layer/available.ts';
import type { ParentLayer, UnpackJob, UnpackResult } from '../layer/unpack-job.ts';
import { unpackLayer } from '../layer/unpack-layer.ts';
import { sha256 } from '../oci/digest.ts';
import type { LayerFacts, LayerForm } from '../snapshot/driver.ts';
import { lowerdirOption, type Mount } from '../sys/mount-data.ts';

/** A layer of a stack, unpacked. */
export interface UnpackedLayer extends ParentLayer {
  readonly result: UnpackResult;
}

/**
 * Unpacks layers, base first, each into a directory of its own below `work`, as an engine does:
 * without knowing what is below where that suffices, else a second time on its parents.
 */
export async function unpackStack(
  tars: readonly Uint8Array[],
  form: LayerForm,
  work: string,
): Promise<UnpackedLayer[]> {
  const layers: UnpackedLayer[] = [];
  for (const [at, tar] of tars.entries()) {
    const directory = join(work, `layer${at}`);
    mkdirSync(join(directory, 'fs'), { recursive: true });
    const parents = layers.toReversed();
    if (form === 'direct' && at > 0)
      await copyTree(join(parents[0]!.directory, 'fs'), join(directory, 'fs'));
    const job = jobOf(tar, form, directory);
    const options = { available: Available.complete(tar.length) };
    const alone = form === 'direct' ? undefined : await unpackLayer(job, options);
    const result =
      alone && !alone.dependent ? alone : await unpackLayer({ ...job, parents }, options);
    layers.push({ directory, diffId: result.diffId, form, result });
  }
  return layers;
}

/**
 * Fills the existing directory of a layer.
 * @param into - `parents`: nearest first, for one that depends on them; `blob`: where the archive is
 * written meanwhile, by default beside the directory
 */
export async function unpackTar(
  tar: Uint8Array,
  into: Pick<UnpackJob, 'form' | 'directory'> & Partial<Pick<UnpackJob, 'parents' | 'blob'>>,
): Promise<LayerFacts> {
  const { form, directory, parents, blob } = into;
  const job = { ...jobOf(tar, form, directory, blob), parents };
  const options = { available: Available.complete(tar.length) };
  try {
    const { digest: _, ...facts } = await unpackLayer(job, options);
    return { ...facts, stats: { ...facts.stats } };
  } finally {
    rmSync(job.blob);
  }
}

/** A job for an uncompressed layer; the blob is written beside the directory. */
export function jobOf(
  tar: Uint8Array,
  form: LayerForm,
  directory: string,
  blob = `${directory}.blob`,
): UnpackJob {
  writeFileSync(blob, tar);
  const { size } = statSync(blob);
  const mediaType = 'application/vnd.oci.image.layer.v1.tar';
  const facts = { blob, size, digest: sha256(tar), mediaType, diffId: undefined };
  return { ...facts, form, directory, parents: undefined };
}

/** The overlay of unpacked layers; the empty directory `bottom` lies below all. */
export function overlayOf(layers: readonly ParentLayer[], bottom: string): Mount {
  const lower = layers.map(({ directory }) => join(directory, 'fs')).toReversed();
  return { type: 'overlay', source: 'overlay', options: [lowerdirOption([...lower, bottom])] };
}

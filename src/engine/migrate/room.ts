import type { Driver, LayerFacts } from '../../snapshot/driver.ts';
import type { Step } from './plan.ts';

/** Of ext4 and most others, in bytes. */
const BLOCK = 4096;

/**
 * Estimate of what a layer takes with this driver, in bytes. The tar is as long as it is; of files, half
 * of a block each is lost; a full copy of what is below may share its blocks, which is not counted on.
 */
export function roomOf(
  { form, copies }: Pick<Driver, 'form' | 'copies'>,
  { tarSize, indexSize, stats }: LayerFacts,
  parents: readonly Pick<Step, 'size'>[] = [],
): number {
  if (form === 'tar') return tarSize + indexSize;
  const { bytes = tarSize, files = 0, directories = 0 } = stats;
  const own = bytes + (files * BLOCK) / 2 + directories * BLOCK + indexSize;
  return copies ? own + (parents[0]?.size ?? 0) : own;
}

/**
 * What to do about a full disk. Nothing, when it was another limit.
 * @param missing - what is still to be written, in bytes
 */
export function lack(missing: number, free: number, from: string): string {
  if (free >= missing) return '';
  return `; about ${megabytes(missing - free)} more are needed than are free. What was made is kept: make room and run it again, or give up with \`mica migrate --driver ${from}\`, which frees it`;
}

const megabytes = (bytes: number): string => `${Math.ceil(bytes / 1e6)} MB`;

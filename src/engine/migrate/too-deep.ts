import type { ImageRecord } from '../../db/images.ts';
import { parseImageConfig } from '../../oci/config.ts';
import { chainIds } from '../../oci/digest.ts';
import type { Driver } from '../../snapshot/driver.ts';
import type { SnapshotRow } from '../../snapshot/snapshot-rows.ts';
import type { Step } from './plan.ts';

type Committed = Pick<SnapshotRow, 'id' | 'name' | 'parent'>;

/**
 * What would be carried over, and could never be mounted again: stacks of more different layers than
 * the driver shows. Told with the names of the images that stand on them.
 */
export function tooDeep(
  { name: driver, depth: most }: Pick<Driver, 'name' | 'depth'>,
  snapshots: readonly Committed[],
  steps: readonly Pick<Step, 'key' | 'snapshots'>[],
  images: () => readonly ImageRecord[],
): string[] {
  if (most === undefined || steps.length <= most) return [];
  const deep = deeperThan(most, snapshots, steps);
  if (deep.size === 0) return [];
  const named = images().flatMap((image) => nameOnTop(image, deep));
  const names = named.length > 0 ? named : [...deep].slice(-1);
  return [
    `${driver} stacks ${most} layers, and could not mount what has more (${names.join(', ')}); remove it first (\`mica rmi NAME\`), and before that \`mica squash NAME -t NEW\` what is to be kept; or choose a driver without that limit`,
  ];
}

/** Names of the snapshots that stand on more different layers, their own among them. */
function deeperThan(
  most: number,
  snapshots: readonly Committed[],
  steps: readonly Pick<Step, 'key' | 'snapshots'>[],
): Set<string> {
  const rows = new Map(snapshots.map((row) => [row.id, row]));
  const keys = new Map(steps.flatMap(({ key, snapshots: ids }) => ids.map((id) => [id, key])));
  const differentBelow = (row: Committed): number => {
    const found = new Set<string | undefined>();
    for (let at: Committed | undefined = row; at !== undefined; at = rows.get(at.parent ?? NONE))
      found.add(keys.get(at.id));
    return found.size;
  };
  const deep = snapshots.filter((row) => keys.has(row.id) && differentBelow(row) > most);
  return new Set(deep.map(({ name }) => name));
}

/** No snapshot has this number. */
const NONE = -1;

function nameOnTop({ id, config, references }: ImageRecord, deep: ReadonlySet<string>): string[] {
  const top = chainIds(parseImageConfig(config).rootfs.diff_ids).at(-1);
  return top !== undefined && deep.has(top) ? [references[0]?.name ?? id] : [];
}

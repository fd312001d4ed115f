import type { PlannedLayer, PullPlan } from '../../../engine/pull/plan.ts';
import { formatPlatform } from '../../../oci/platform.ts';
import { shortId, shortName } from '../name.ts';
import { size } from '../quantity.ts';
import { table } from '../table.ts';

const STATES: Readonly<Record<PlannedLayer['state'], string>> = {
  missing: 'fetch and unpack',
  partial: 'fetch the rest and unpack',
  blob: 'unpack',
  unpacked: 'nothing to do',
};

/** What a pull would do, for people. */
export function renderPlan(plan: PullPlan, columns?: number): string {
  const { layers, fetch, present, disk, free } = plan;
  const head = `${shortName(plan.reference)} for ${formatPlatform(plan.platform)}\n${plan.target.digest}\n`;
  const rows = layers.map(({ descriptor, state, have }) => [
    shortId(descriptor.digest),
    size(descriptor.size),
    size(have),
    STATES[state],
  ]);
  const layout = [
    { head: 'LAYER' },
    { head: 'SIZE', right: true },
    { head: 'HERE', right: true },
    { head: 'TO DO' },
  ];
  const warning = disk > free ? '  (not enough)' : '';
  return `${head}\n${table(layout, rows, columns)}
To fetch:      ${size(fetch)}
Already here:  ${size(present)}
Disk needed:   about ${size(disk)} of ${size(free)} free${warning}
`;
}

import { MicaError } from '../../errors.ts';
import { parseUntil } from './duration.ts';
import { splitFilter } from './image-filter.ts';
import { labelFilter } from './label-filter.ts';

/** What docker's `--filter` leaves to be pruned. */
export interface PruneFilter {
  /** Made before; `undefined`: at any time. */
  readonly before: Date | undefined;
  readonly hasLabels: (labels: Readonly<Record<string, string>> | undefined) => boolean;
}

/**
 * `until=…` (of several the earliest counts), `label=…` (all of them) and `label!=…` (none).
 * @throws INVALID_ARGUMENT for another one
 */
export function parsePruneFilters(filters: readonly string[]): PruneFilter {
  const limits: Date[] = [];
  const labels: PruneFilter['hasLabels'][] = [];
  for (const text of filters) {
    const [key, value] = splitFilter(text);
    const has = labelFilter(value);
    if (key === 'until') limits.push(parseUntil(value));
    else if (key === 'label') labels.push(has);
    else if (key === 'label!') labels.push((given) => !has(given));
    else
      throw new MicaError(
        'INVALID_ARGUMENT',
        `filter ${JSON.stringify(key)} is none of until, label, label!`,
      );
  }
  return {
    before: limits.toSorted((a, b) => a.getTime() - b.getTime())[0],
    hasLabels: (given) => labels.every((passes) => passes(given)),
  };
}

/** The same for what has no labels. @throws INVALID_ARGUMENT for one that is not `until` */
export function parseUntilFilters(filters: readonly string[]): Date | undefined {
  for (const text of filters) {
    const [key] = splitFilter(text);
    if (key !== 'until')
      throw new MicaError('INVALID_ARGUMENT', `filter ${JSON.stringify(key)} is not until`);
  }
  return parsePruneFilters(filters).before;
}

import { MicaError } from '../../errors.ts';
import { parseUntil } from './duration.ts';
import { splitFilter } from './image-filter.ts';

/**
 * `--filter until=…` of what prunes; of several the earliest.
 * @throws INVALID_ARGUMENT for another filter
 */
export function untilOf(filters: readonly string[]): Date | undefined {
  const limits = filters.map((text) => {
    const [key, value] = splitFilter(text);
    if (key === 'until') return parseUntil(value);
    throw new MicaError('INVALID_ARGUMENT', `filter ${JSON.stringify(key)} is not until`);
  });
  return limits.toSorted((a, b) => a.getTime() - b.getTime())[0];
}

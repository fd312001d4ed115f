import type { PrunedContainers } from '../../../engine/containers/containers.ts';

/** Which containers were removed, or would be. */
export function renderDeleted(
  { containers }: PrunedContainers,
  { dryRun = false }: { readonly dryRun?: boolean } = {},
): string {
  if (containers.length === 0) return '';
  const title = dryRun ? 'Would delete containers:' : 'Deleted Containers:';
  return `${[title, ...containers].join('\n')}\n\n`;
}

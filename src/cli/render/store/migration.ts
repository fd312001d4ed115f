import type { LayerSource, Migration } from '../../../engine/migrate/migration.ts';
import { isDigest } from '../../../oci/digest.ts';
import { escape } from '../escape.ts';
import { shortId } from '../name.ts';
import { count, size } from '../quantity.ts';
import { table } from '../table.ts';

const SOURCES: Readonly<Record<LayerSource, string>> = {
  kept: 'nothing to do',
  there: 'already made',
  tar: 'make it from its tar',
  blob: 'make it from its blob',
  registry: 'fetch its blob again',
  files: 'pack its files',
  none: 'cannot be made',
};

/** What changing the driver would do. */
export function renderMigrationPlan(migration: Migration, columns: number | undefined): string {
  const { from, to, layers, bytes, free, obstacles } = migration;
  const rows = layers.map((layer) => [nameOf(layer.key), size(layer.bytes), SOURCES[layer.source]]);
  const layout = [{ head: 'LAYER' }, { head: 'SIZE', right: true }, { head: 'TO DO' }];
  const warning = bytes > free ? '  (may not be enough)' : '';
  const lines = [
    `Disk needed:   about ${size(bytes)} of ${size(free)} free, until the layers of ${from} are removed${warning}`,
    ...obstacles.map((obstacle) => `In the way:    ${escape(obstacle)}`),
  ];
  return `From ${from} to ${to}\n\n${table(layout, rows, columns)}\n${lines.map((line) => `${line}\n`).join('')}`;
}

/** What it has done. */
export function renderMigrated({ from, to, layers, freed }: Migration): string {
  if (from === to)
    return freed > 0
      ? `The store keeps storage driver ${to}; ${size(freed)} that were made for another one are freed\n`
      : `The store has storage driver ${to}; nothing is left of another one\n`;
  const kept = layers.filter(({ source }) => source === 'kept').length;
  const made = count(layers.length - kept, 'layer');
  const how = kept === layers.length ? `${count(kept, 'layer')} kept as they are` : `${made} made`;
  return `The store has storage driver ${to} now, instead of ${from}: ${how}\n`;
}

const nameOf = (key: string): string => (isDigest(key) ? shortId(key) : key);

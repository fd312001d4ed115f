import type { TreeStat } from '../../../union/tree.ts';
import { escape, escapeName } from '../escape.ts';
import { modeString, sizeString, timeString } from './stat.ts';

/** One file of a listing. */
export interface Listed {
  readonly name: Uint8Array;
  /** Absent: nothing but the name is wanted. */
  readonly stat?: TreeStat | undefined;
}

/** Names on lines of their own. */
export const shortListing = (files: readonly Listed[]): string =>
  files.map(({ name }) => `${escapeName(name)}\n`).join('');

/**
 * As `ls -ln` does it: mode, links, owner, group, size, time (UTC), name. Before the name stands
 * which layer the file comes from.
 */
export function longListing(files: readonly Listed[]): string {
  const rows = files.map(({ name, stat }) => (stat ? cells(name, stat) : [escapeName(name)]));
  const widths = Array.from({ length: 7 }, (_, column) =>
    rows.reduce((width, row) => Math.max(width, row[column]?.length ?? 0), 0),
  );
  return rows
    .map((row) => {
      const last = row.length - 1;
      const padded = row.map((cell, column) =>
        column === last ? cell : column === 0 ? cell : cell.padStart(widths[column]!),
      );
      return `${padded.join(' ')}\n`;
    })
    .join('');
}

function cells(name: Uint8Array, stat: TreeStat): string[] {
  const arrow = stat.target === undefined ? '' : ` -> ${escape(stat.target)}`;
  return [
    modeString(stat),
    String(stat.nlink),
    String(stat.uid),
    String(stat.gid),
    sizeString(stat),
    timeString(stat),
    `@${stat.layer + 1}`,
    escapeName(name) + arrow,
  ];
}

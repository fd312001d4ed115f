import { createRequire } from 'node:module';
import { escape } from './escape.ts';

export interface Column {
  readonly head: string;
  /** Numbers read better that way. */
  readonly right?: boolean;
  /** May be cut, with an ellipsis, where the terminal is too narrow. Only one column of a table. */
  readonly flexible?: boolean;
}

/** docker's: three spaces between columns, none narrower than seven. */
const GAP = 3;
const MIN_WIDTH = 7;
/** A flexible column is never cut to less. */
const MIN_FLEXIBLE = 16;

/**
 * Aligned columns, as docker aligns them; every cell is escaped. The last column is not padded.
 * @param columns of the terminal; `undefined`: nothing is cut
 */
export function table(
  layout: readonly Column[],
  rows: readonly (readonly string[])[],
  columns?: number,
): string {
  const cells = [layout.map(({ head }) => head), ...rows].map((row) => row.map(escape));
  const widths = layout.map((_, column) =>
    // A call with a parameter for each would fill the stack: an image may have a million steps.
    cells.reduce((width, row) => Math.max(width, widthOf(row[column] ?? '')), MIN_WIDTH),
  );
  if (columns !== undefined) squeeze(layout, widths, columns);
  return cells.map((row) => `${line(layout, row, widths)}\n`).join('');
}

/** A table whose rows are `head` followed by `rows`, e.g. what a template made of them. */
export function textTable(rows: readonly (readonly string[])[]): string {
  const [head = []] = rows;
  return table(
    head.map((text) => ({ head: text })),
    rows.slice(1),
  );
}

/** In terminal cells. */
export const widthOf = (text: string): number =>
  /^[\u0020-\u007e]*$/.test(text) ? text.length : (stringWidth ??= loadStringWidth())(text);

type StringWidth = (typeof import('string-width'))['default'];
let stringWidth: StringWidth | undefined;

/** Not before text needs it: what it makes of Unicode when it is loaded takes 20 ms. */
const loadStringWidth = (): StringWidth =>
  (createRequire(import.meta.url)('string-width') as typeof import('string-width')).default;

/** The longest beginning of `text` that fits, with an ellipsis where something is missing. */
export function cut(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  if (width < 1) return '';
  let [result, used] = ['', 1];
  for (const char of text) {
    used += widthOf(char);
    if (used > width) break;
    result += char;
  }
  return `${result}…`;
}

function squeeze(layout: readonly Column[], widths: number[], columns: number): void {
  const flexible = layout.findIndex((column) => column.flexible);
  if (flexible === -1) return;
  const total = widths.reduce((sum, width) => sum + width, GAP * (widths.length - 1));
  const excess = total - columns;
  if (excess > 0) widths[flexible] = Math.max(MIN_FLEXIBLE, widths[flexible]! - excess);
}

function line(
  layout: readonly Column[],
  row: readonly string[],
  widths: readonly number[],
): string {
  return layout
    .map(({ right, flexible }, column) => {
      const width = widths[column]!;
      const cell = flexible ? cut(row[column] ?? '', width) : (row[column] ?? '');
      const space = ' '.repeat(Math.max(0, width - widthOf(cell)));
      if (right) return space + cell;
      return column === layout.length - 1 ? cell : cell + space;
    })
    .join(' '.repeat(GAP));
}

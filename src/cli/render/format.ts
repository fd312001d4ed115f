import { HEADING_FUNCTIONS } from '../template/functions.ts';
import { compileTemplate } from '../template/template.ts';
import type { Struct } from '../template/value.ts';
import { escapeText } from './escape.ts';
import { textTable } from './table.ts';

export interface Rows {
  /** What `--format` says: a template, `table TEMPLATE`, or `json`. */
  readonly format: string;
  readonly rows: readonly Struct[];
  /** What each field is called at the top of a table. */
  readonly heading: Struct;
  /** Text goes to a terminal: what could steer it is spelled out. */
  readonly terminal: boolean;
}

const TABLE = 'table ';

/** Rows through a template, a line each, as docker's list commands print them. */
export function formatRows({ format, rows, heading, terminal }: Rows): string {
  const text = (format === 'json' ? '{{json .}}' : format)
    .replaceAll(String.raw`\t`, '\t')
    .replaceAll(String.raw`\n`, '\n');
  if (text.startsWith(TABLE)) return formatTable(text.slice(TABLE.length), rows, heading);
  const template = compileTemplate(text);
  const lines = rows.map((row) => `${template(row)}\n`).join('');
  return terminal ? escapeText(lines) : lines;
}

function formatTable(text: string, rows: readonly Struct[], heading: Struct): string {
  const template = compileTemplate(text);
  const head = compileTemplate(text, HEADING_FUNCTIONS)(heading);
  return textTable([head, ...rows.map(template)].map((line) => line.split('\t')));
}

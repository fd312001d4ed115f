/** Results of `pull.bench.ts` as Markdown. */
import { ratioToBest, type Row } from './harness.ts';

export interface Facts {
  readonly commit: string | undefined;
  readonly runs: number;
  readonly machine: Readonly<Record<string, string | number>>;
  readonly versions: Readonly<Record<string, string>> | undefined;
}

const COLUMNS = [
  'contender',
  'wall s',
  'before the sync',
  'CPU s',
  'RSS MiB',
  'wall / best peer',
  'before the sync',
  'CPU / best peer',
  'wall / limit',
  'before the sync',
] as const;

/** @param rows the limit last */
export function pullTable(image: string, rows: readonly Row[]): string {
  const peers = rows.filter(({ name }) => / pull/.test(name) && !name.startsWith('mica'));
  const limit = rows.slice(-1);
  const lines = rows.map((row) => {
    if (row.error !== undefined) return [row.name, 'failed', ...COLUMNS.slice(2).map(() => '')];
    const ratio = (others: readonly Row[], cost?: 'unflushed' | 'cpu'): string =>
      others.length > 0 ? ratioToBest(row, others, cost).toFixed(2) : '–';
    return [
      row.name,
      row.wall.toFixed(2),
      row.unflushed.toFixed(2),
      row.cpu.toFixed(2),
      row.rss.toFixed(0),
      ratio(peers),
      ratio(peers, 'unflushed'),
      ratio(peers, 'cpu'),
      ratio(limit),
      ratio(limit, 'unflushed'),
    ];
  });
  const table = [COLUMNS, COLUMNS.map(() => '---'), ...lines];
  return `\n### ${image}\n\n${table.map((cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`).join('\n')}\n`;
}

export function report(facts: Facts, results: Readonly<Record<string, readonly Row[]>>): string {
  const list = (values: Readonly<Record<string, string | number>>): string =>
    Object.entries(values)
      .map(([name, value]) => (String(value).startsWith(name) ? value : `${name} ${value}`))
      .join(', ');
  const head = [
    `Commit ${facts.commit ?? 'unknown'}; ${list(facts.machine)}${facts.versions ? `; ${list(facts.versions)}` : ''}.`,
    `Alternating runs, ${facts.runs} of each; medians, the largest RSS. Ratios are taken within a round.`,
  ];
  const tables = Object.entries(results).map(([image, rows]) => pullTable(image, rows));
  return `${head.join('\n')}\n${tables.join('')}`;
}

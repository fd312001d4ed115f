/** What drivers cost, as a table for docs/drivers/README.md. */
import type { DriverCosts } from './driver-costs.ts';
import { median } from './harness.ts';

const HEAD = [
  'driver',
  'pull and unpack',
  'create a container',
  'mount it',
  'first write to a file of 256 MiB',
  'diff',
  'commit',
  'remove it',
  'remove the image',
  'MiB on disk, image',
  'ten containers',
  'pages shared',
  'MiB of page cache for 1, 10',
];

export function driverTable(
  results: Readonly<Record<string, DriverCosts>>,
  skipped: Readonly<Record<string, string>>,
  facts: Readonly<Record<string, string | number>>,
): string {
  const rows = Object.entries(results).map(([name, costs]) => rowOf(name, costs));
  const lines = [HEAD, HEAD.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`);
  const known = Object.entries(facts).map(([name, value]) => `${name} ${value}`);
  const missing = Object.entries(skipped).map(([name, reason]) => `${name}: ${reason}`);
  return [
    `Milliseconds, medians. ${known.join(', ')}.`,
    lines.join('\n'),
    ...(missing.length > 0 ? [`Not measured: ${missing.join('; ')}.`] : []),
  ].join('\n\n');
}

function rowOf(
  name: string,
  { pull, imageMib, containers, pages, removeImage }: DriverCosts,
): string[] {
  const ms = (times: readonly number[] | undefined): string =>
    times === undefined ? '–' : format(median(times));
  return [
    name,
    ms(pull),
    ms(containers?.create),
    ms(containers?.mount),
    ms(containers?.copyUp),
    ms(containers?.diff),
    ms(containers?.commit),
    ms(containers?.remove),
    ms(removeImage),
    format(imageMib),
    containers === undefined ? '–' : format(containers.tenMib),
    pages === undefined ? '–' : `${pages.second > 90 ? 'yes' : 'no'} (${format(pages.second)} %)`,
    pages === undefined ? '–' : `${format(pages.mibForOne)}, ${format(pages.mibForTen)}`,
  ];
}

const format = (value: number): string => value.toFixed(value < 10 ? 1 : 0);

import type { Command } from 'commander';
import type { ContainerInfo } from '../../../engine/containers/containers.ts';
import type { Engine } from '../../../engine/engine.ts';
import { isCode } from '../../../errors.ts';
import type { Cli } from '../../cli.ts';
import { parseContainerFilters } from '../../parse/container-filter.ts';
import { integer } from '../../parse/container/numbers.ts';
import { examples } from '../../program.ts';
import {
  CONTAINER_HEADING,
  containerFields,
  containerJson,
  type ContainerRow,
  isUp,
} from '../../render/container/ps.ts';
import { formatRows } from '../../render/format.ts';
import { json } from '../../render/json.ts';

interface Options {
  readonly all?: boolean;
  readonly quiet?: boolean;
  readonly trunc: boolean;
  readonly size?: boolean;
  readonly last?: string;
  readonly latest?: boolean;
  readonly filter: readonly string[];
  readonly format?: string;
  readonly json?: boolean;
}

export function ps(command: Command, cli: Cli): void {
  command
    .option('-a, --all', 'also those that do not run')
    .option('-q, --quiet', 'IDs only')
    .option('--no-trunc', 'whole IDs and commands')
    .option('-s, --size', 'with the size of what they have written')
    .option('-n, --last <number>', 'the last created ones, in whatever state')
    .option('-l, --latest', 'the last created one')
    .option(
      '-f, --filter <key=value>',
      'id=, name=, label=KEY[=VALUE], status=, exited=CODE, ancestor=IMAGE, before=, since=, network=, volume=, health=, publish=',
      (value: string, all: readonly string[]) => [...all, value],
      [],
    )
    .option('--format <template>', 'Go template for each line, "table TEMPLATE", or json')
    .option('--json', 'everything as JSON')
    .action((options: Options) => list(cli, options));
  examples(
    command,
    ['mica ps', 'what runs'],
    ['mica ps -a --filter status=exited', 'what has ended'],
    ["mica ps --format 'table {{.Names}}\\t{{.Status}}'", 'columns of your own'],
  );
}

async function list(cli: Cli, options: Options): Promise<void> {
  const engine = await cli.engine();
  const rows = await select(engine, options);
  if (options.json) return await cli.out.write(json(rows.map(containerJson)));
  if (options.quiet) {
    const ids = rows.map(({ container: { id } }) => (options.trunc ? id.slice(0, 12) : id));
    return await cli.out.write(ids.map((id) => `${id}\n`).join(''));
  }
  const format = options.format ?? 'table';
  await cli.out.write(
    formatRows({
      format: format === 'table' ? tableOf(options) : format,
      rows: rows.map((row) => containerFields(row, options.trunc)),
      heading: CONTAINER_HEADING,
      terminal: cli.out.isTTY,
    }),
  );
}

const tableOf = ({ size }: Options): string =>
  `table {{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}${size ? '\t{{.Size}}' : ''}`;

/** What is removed meanwhile is left out. */
export async function select(engine: Engine, options: Options): Promise<ContainerRow[]> {
  const { containers } = engine;
  const last = options.latest ? 1 : options.last && integer('--last', options.last);
  const passes = await parseContainerFilters(options.filter, engine);
  const asksForState = options.filter.some((text) => /^(?:status|exited)\s*=/i.test(text));
  const everything = options.all || last !== undefined || asksForState;
  let all = (await containers.list()).filter((one) => everything || isUp(one.state));
  all = all.filter(passes);
  if (typeof last === 'number' && last >= 0) all = all.slice(0, last);
  const withSize = options.size === true || options.format?.includes('.Size') === true;
  const rows = await Promise.all(all.map((one) => rowOf(engine, one, withSize)));
  return rows.filter((row) => row !== undefined);
}

async function rowOf(
  { containers }: Engine,
  container: ContainerInfo,
  withSize: boolean,
): Promise<ContainerRow | undefined> {
  try {
    const image = await containers.imageOf(container);
    const size = withSize ? (await containers.usage(container.id)).size : undefined;
    return { container, image, size };
  } catch (error) {
    const gone = await containers.get(container.id).then(
      () => false,
      (reason: unknown) => isCode(reason, 'NOT_FOUND'),
    );
    if (gone) return undefined;
    throw error;
  }
}

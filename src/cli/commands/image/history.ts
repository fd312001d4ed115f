import type { Command } from 'commander';
import type { Cli } from '../../cli.ts';
import { examples } from '../../program.ts';
import { formatRows } from '../../render/format.ts';
import { HISTORY_HEADING, historyFields, stepsOf } from '../../render/image/history.ts';
import { json } from '../../render/json.ts';

interface Options {
  readonly quiet?: boolean;
  readonly trunc: boolean;
  readonly human: boolean;
  readonly format?: string;
  readonly json?: boolean;
}

export function history(command: Command, cli: Cli): void {
  command
    .argument('<image>', 'name, digest or ID of an image')
    .option('-q, --quiet', 'IDs only')
    .option('--no-trunc', 'whole commands and IDs')
    .option('-H, --human', 'sizes and times for people, which is the default')
    .option('--no-human', 'exact sizes and times (also as --human=false)')
    .option('--format <template>', 'Go template for each line, "table TEMPLATE", or json')
    .option('--json', 'everything as JSON')
    .action((image: string, options: Options) => show(cli, image, options));
  examples(
    command,
    ['mica history redis', 'newest step first'],
    ['mica history --no-trunc redis', 'with the whole commands'],
    ["mica history --format '{{.Size}} {{.CreatedBy}}' redis", 'two columns'],
  );
}

async function show(cli: Cli, name: string, options: Options): Promise<void> {
  const image = await (await cli.engine()).image(name);
  if (options.json) return cli.out.write(json(stepsOf(image)));
  const { human } = options;
  const rows = historyFields(image, { trunc: options.trunc, human });
  const format = options.quiet ? '{{.ID}}' : (options.format ?? 'table');
  const time = human ? 'CreatedSince' : 'CreatedAt';
  return cli.out.write(
    formatRows({
      format:
        format === 'table'
          ? `table {{.ID}}\t{{.${time}}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}`
          : format,
      rows,
      heading: HISTORY_HEADING,
      terminal: cli.out.isTTY,
    }),
  );
}

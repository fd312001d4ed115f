import type { Command } from 'commander';
import type { ContainerInfo } from '../../../engine/containers/containers.ts';
import type { Cli } from '../../cli.ts';
import { collect } from '../../parse/list.ts';
import { parsePruneFilters } from '../../parse/prune-filter.ts';
import { examples } from '../../program.ts';
import { confirm } from '../../prompt.ts';
import { renderDeleted } from '../../render/container/deleted.ts';
import { json } from '../../render/json.ts';
import { size } from '../../render/quantity.ts';

interface Options {
  readonly force?: boolean;
  readonly filter: readonly string[];
  readonly json?: boolean;
}

export function prune(command: Command, cli: Cli): void {
  command
    .option('-f, --force', 'do not ask')
    .option(
      '--filter <key=value>',
      'until=24h or until=TIME: created before; label=KEY[=VALUE], label!=KEY[=VALUE]',
      collect,
      [],
    )
    .option('--json', 'print what was removed as JSON')
    .action((options: Options) => run(cli, options));
  examples(
    command,
    ['mica container prune', 'asks, then removes what does not run'],
    ['mica container prune -f --filter until=24h', 'what was created a day ago or before'],
  );
}

async function run(cli: Cli, options: Options): Promise<void> {
  const { before, hasLabels } = parsePruneFilters(options.filter);
  if (!options.force)
    await confirm(cli, 'This will remove all containers that do not run.\nContinue?');
  const { containers } = await cli.engine();
  const filter = ({ createdAt, settings }: ContainerInfo): boolean =>
    (before === undefined || createdAt < before) && hasLabels(settings.labels);
  const result = await containers.prune({ filter });
  if (options.json) return await cli.out.write(json(result));
  await cli.out.write(renderDeleted(result));
  await cli.out.line(`Total reclaimed space: ${size(result.bytes)}`);
}

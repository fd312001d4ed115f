import type { Command } from 'commander';
import type { Cli } from '../../cli.ts';
import { collect } from '../../parse/list.ts';
import { parseUntilFilters } from '../../parse/prune-filter.ts';
import { examples } from '../../program.ts';
import { confirm } from '../../prompt.ts';
import { json } from '../../render/json.ts';
import { renderFreed } from '../../render/store/freed.ts';

interface Options {
  readonly all?: boolean;
  readonly filter: readonly string[];
  readonly force?: boolean;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

export function builderPrune(command: Command, cli: Cli): void {
  command
    .option('-a, --all', 'all that builds have made, also what was of use this week')
    .option('--filter <key=value>', 'until=24h or until=TIME: what was not used since', collect, [])
    .option('-f, --force', 'do not ask')
    .option('--dry-run', 'say what would be removed, and remove nothing')
    .option('--json', 'print what was removed as JSON')
    .action((options: Options) => run(cli, options));
  examples(
    command,
    ['mica builder prune', 'what no build has used for a week'],
    ['mica builder prune -af', 'the whole cache'],
    ['mica builder prune --filter until=24h', 'what no build has used for a day'],
  );
}

async function run(cli: Cli, options: Options): Promise<void> {
  const { all = false, filter, force = false, dryRun = false } = options;
  const usedBefore = parseUntilFilters(filter);
  const what = all
    ? 'all that builds keep to be faster'
    : 'what builds keep and have not used lately';
  if (!force && !dryRun) await confirm(cli, `This will remove ${what}.\nContinue?`);
  const builder = await cli.builder();
  const result = await builder.prune({
    all,
    usedBefore,
    dryRun,
    signal: cli.signal,
  });
  await cli.out.write(options.json ? json(result) : renderFreed(result, { dryRun }));
}

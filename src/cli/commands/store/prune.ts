import type { Command } from 'commander';
import type { GcResult, PruneOptions } from '../../../engine/space/gc.ts';
import type { Cli } from '../../cli.ts';
import { untilOf } from '../../parse/until-filter.ts';
import { examples } from '../../program.ts';
import { confirm } from '../../prompt.ts';
import { renderFreed } from '../../render/store/freed.ts';
import { json } from '../../render/json.ts';

interface Options {
  readonly all?: boolean;
  readonly force?: boolean;
  readonly dryRun?: boolean;
  readonly filter: readonly string[];
  readonly json?: boolean;
}

/** Images without a name (or all), stale downloads, and what nothing uses. */
export function prune(command: Command, cli: Cli): void {
  define(command, cli, 'all dangling images, stale partial downloads, and what nothing uses', {
    partialsOlderThan: 0,
  });
  examples(
    command,
    ['mica prune', 'asks first'],
    ['mica prune --dry-run', 'says what would go'],
    ['mica prune -af --filter until=720h', 'every image older than 30 days'],
  );
}

export function imagePrune(command: Command, cli: Cli): void {
  define(command, cli, 'all dangling images', {});
  examples(
    command,
    ['mica image prune', 'images that lost their name'],
    ['mica image prune -a -f', 'every image'],
  );
}

function define(command: Command, cli: Cli, what: string, base: PruneOptions): void {
  command
    .option('-a, --all', 'every image, not only those without a name')
    .option('-f, --force', 'do not ask')
    .option('--dry-run', 'say what would be removed, and remove nothing')
    .option(
      '--filter <key=value>',
      'until=24h or until=TIME: only images made before',
      (value: string, all: readonly string[]) => [...all, value],
      [],
    )
    .option('--json', 'print what was removed as JSON')
    .action(async (options: Options) => {
      const request = { ...base, ...requestOf(options), signal: cli.signal };
      if (!options.force && !options.dryRun)
        await confirm(
          cli,
          `This will remove ${options.all ? what.replace('all dangling images', 'all images') : what}.\nContinue?`,
        );
      const result = await (await cli.engine()).prune(request);
      await cli.out.write(options.json ? json(result) : text(result, options));
    });
}

function requestOf({ all = false, dryRun = false, filter }: Options): PruneOptions {
  const createdBefore = untilOf(filter);
  return { all, dryRun, ...(createdBefore && { createdBefore }) };
}

const text = (result: GcResult, { dryRun }: Options): string =>
  renderFreed(result, { dryRun: dryRun === true });

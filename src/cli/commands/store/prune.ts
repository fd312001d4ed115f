import type { Command } from 'commander';
import type { PrunedContainers } from '../../../engine/containers/containers.ts';
import type { PruneOptions } from '../../../engine/space/gc.ts';
import type { Cli } from '../../cli.ts';
import { collect } from '../../parse/list.ts';
import { parsePruneFilters } from '../../parse/prune-filter.ts';
import { examples } from '../../program.ts';
import { confirm } from '../../prompt.ts';
import { renderDeleted } from '../../render/container/deleted.ts';
import { json } from '../../render/json.ts';
import { renderFreed } from '../../render/store/freed.ts';

interface Options {
  readonly all?: boolean;
  readonly force?: boolean;
  readonly dryRun?: boolean;
  readonly filter: readonly string[];
  readonly json?: boolean;
}

/** As `docker system prune`: containers that do not run, images without a name (or all), and what nothing uses. */
export function prune(command: Command, cli: Cli): void {
  define(command, cli, {
    what: (images) =>
      `all containers that do not run, ${images}, stale partial downloads, steps of builds that were of no use for a week, and what nothing uses`,
    base: { partialsOlderThan: 0 },
    containers: true,
  });
  examples(
    command,
    ['mica prune', 'asks first'],
    ['mica prune --dry-run', 'says what would go'],
    ['mica prune -af --filter until=720h', 'what is older than 30 days, all images among it'],
  );
}

export function imagePrune(command: Command, cli: Cli): void {
  define(command, cli, { what: (images) => images, base: {}, containers: false });
  examples(
    command,
    ['mica image prune', 'images that lost their name'],
    ['mica image prune -a -f', 'every image that no container has'],
  );
}

interface Pruning {
  /** What the user is asked about. */
  readonly what: (images: string) => string;
  readonly base: PruneOptions;
  readonly containers: boolean;
}

function define(command: Command, cli: Cli, pruning: Pruning): void {
  command
    .option('-a, --all', 'every image that no container has, not only those without a name')
    .option('-f, --force', 'do not ask')
    .option('--dry-run', 'say what would be removed, and remove nothing')
    .option(
      '--filter <key=value>',
      'until=24h or until=TIME: only what was made before; label=KEY[=VALUE], label!=KEY[=VALUE]',
      collect,
      [],
    )
    .option('--json', 'print what was removed as JSON')
    .action((options: Options) => run(cli, options, pruning));
}

async function run(cli: Cli, options: Options, pruning: Pruning): Promise<void> {
  const { all = false, dryRun = false } = options;
  const { before, hasLabels } = parsePruneFilters(options.filter);
  if (!options.force && !dryRun)
    await confirm(
      cli,
      `This will remove ${pruning.what(all ? 'all images that no container has' : 'all dangling images')}.\nContinue?`,
    );
  const engine = await cli.engine();
  const removed: PrunedContainers = pruning.containers
    ? await engine.containers.prune({
        dryRun,
        filter: ({ createdAt, settings: { labels } }) =>
          (before === undefined || createdAt < before) && hasLabels(labels),
      })
    : { containers: [], bytes: 0 };
  const freed = await engine.prune({
    ...pruning.base,
    all,
    dryRun,
    ...(before && { createdBefore: before }),
    hasLabels,
    signal: cli.signal,
  });
  const result = { ...freed, bytes: freed.bytes + removed.bytes };
  if (options.json) {
    const { containers } = removed;
    return await cli.out.write(json(pruning.containers ? { containers, ...result } : result));
  }
  await cli.out.write(renderDeleted(removed, { dryRun }) + renderFreed(result, { dryRun }));
}

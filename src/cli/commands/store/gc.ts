import type { Command } from 'commander';
import type { Cli } from '../../cli.ts';
import { examples } from '../../program.ts';
import { renderFreed } from '../../render/store/freed.ts';
import { json } from '../../render/json.ts';

interface Options {
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

export function gc(command: Command, cli: Cli): void {
  command
    .option('--dry-run', 'say what would be deleted, and delete nothing')
    .option('--json', 'print what was deleted as JSON')
    .action(async ({ dryRun = false, json: asJson }: Options) => {
      const result = await (await cli.engine()).gc({ dryRun, signal: cli.signal });
      await cli.out.write(asJson ? json(result) : renderFreed(result, { dryRun }));
    });
  examples(
    command,
    ['mica gc', 'delete blobs and layers that no image uses'],
    ['mica gc --dry-run', 'how much that would be'],
  );
}

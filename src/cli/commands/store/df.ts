import type { Command } from 'commander';
import type { Cli } from '../../cli.ts';
import { examples } from '../../program.ts';
import { renderUsage } from '../../render/store/df.ts';
import { json } from '../../render/json.ts';

interface Options {
  readonly verbose?: boolean;
  readonly json?: boolean;
}

export function df(command: Command, cli: Cli): void {
  command
    .option('-v, --verbose', 'every blob, layer and partial download')
    .option('--json', 'everything, in bytes, as JSON')
    .action(async (options: Options) => {
      const usage = await (await cli.engine()).usage();
      await cli.out.write(
        options.json ? json(usage) : renderUsage(usage, options.verbose === true),
      );
    });
  examples(
    command,
    ['mica df', 'what removing each image would free, and what images share'],
    ['mica df -v', 'blob by blob, layer by layer'],
    ['mica df --json | jq .reclaimable', 'for programs'],
  );
}

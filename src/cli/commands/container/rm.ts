import type { Command } from 'commander';
import { isCode } from '../../../errors.ts';
import type { Cli } from '../../cli.ts';
import { forEachTarget } from '../../failure.ts';
import { examples } from '../../program.ts';
import { escape } from '../../render/escape.ts';

interface Options {
  readonly force?: boolean;
  readonly volumes?: boolean;
}

export function rm(command: Command, cli: Cli): void {
  command
    .argument('<container...>', 'names or IDs')
    .option('-f, --force', 'also what runs: it is killed; what is not there is no failure')
    .option('-v, --volumes', 'as always: volumes go with their container')
    .action((names: string[], options: Options) => remove(cli, names, options));
  examples(
    command,
    ['mica rm web', 'the container, its writable layer and its log'],
    ['mica rm -f $(mica ps -aq)', 'all of them'],
  );
}

async function remove(cli: Cli, names: string[], { force = false }: Options): Promise<void> {
  const { containers } = await cli.engine();
  await forEachTarget(cli, names, async (name) => {
    try {
      await containers.remove(name, { force });
    } catch (error) {
      if (!force || !isCode(error, 'NOT_FOUND')) throw error;
      return;
    }
    await cli.out.line(escape(name));
  });
}

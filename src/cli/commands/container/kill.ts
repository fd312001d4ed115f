import type { Command } from 'commander';
import type { Cli } from '../../cli.ts';
import { forEachTarget } from '../../failure.ts';
import { examples } from '../../program.ts';
import { escape } from '../../render/escape.ts';
import { numberOf } from './stop.ts';

export function kill(command: Command, cli: Cli): void {
  command
    .argument('<container...>', 'names or IDs')
    .option('-s, --signal <signal>', 'name or number', 'KILL')
    .action(async (names: string[], { signal }: { readonly signal: string }) => {
      const { containers } = await cli.engine();
      const number = numberOf(signal);
      await forEachTarget(cli, names, async (name) => {
        await containers.kill(name, number);
        await cli.out.line(escape(name));
      });
    });
  examples(command, ['mica kill -s HUP web', 'makes many servers read their configuration']);
}

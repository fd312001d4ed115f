import type { Command } from 'commander';
import type { Cli } from '../../cli.ts';
import { examples } from '../../program.ts';

export function rename(command: Command, cli: Cli): void {
  command
    .argument('<container>', 'name or ID')
    .argument('<name>', 'its new name')
    .action(async (name: string, to: string) => {
      await (await cli.engine()).containers.rename(name, to);
    });
  examples(command, ['mica rename web web-old', 'also while it runs; the name web is free again']);
}

import type { Command } from 'commander';
import type { Cli } from '../../cli.ts';
import { forEachTarget } from '../../failure.ts';
import { examples } from '../../program.ts';
import { escape } from '../../render/escape.ts';

export function pause(command: Command, cli: Cli): void {
  define(command, cli, 'pause');
  examples(command, ['mica pause web', 'its processes stand still, and stay in memory']);
}

export function unpause(command: Command, cli: Cli): void {
  define(command, cli, 'unpause');
  examples(command, ['mica unpause web', 'they go on where they stood']);
}

function define(command: Command, cli: Cli, what: 'pause' | 'unpause'): void {
  command.argument('<container...>', 'names or IDs').action(async (names: string[]) => {
    const { containers } = await cli.engine();
    await forEachTarget(cli, names, async (name) => {
      await containers[what](name);
      await cli.out.line(escape(name));
    });
  });
}

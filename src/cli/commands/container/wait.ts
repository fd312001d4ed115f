import type { Command } from 'commander';
import { MicaError } from '../../../errors.ts';
import type { Cli } from '../../cli.ts';
import { forEachTarget } from '../../failure.ts';
import { examples } from '../../program.ts';

export function wait(command: Command, cli: Cli): void {
  command.argument('<container...>', 'names or IDs').action(async (names: string[]) => {
    const { containers } = await cli.engine();
    await forEachTarget(cli, names, async (name) => {
      const exit = await containers.wait(name, { signal: cli.signal });
      if (exit === undefined)
        throw new MicaError(
          'FAILED_PRECONDITION',
          `container ${name} was not started, or nobody knows how it ended`,
        );
      await cli.out.line(String(exit.exitCode));
    });
  });
  examples(command, ['mica wait build', 'prints its exit code when it has ended']);
}

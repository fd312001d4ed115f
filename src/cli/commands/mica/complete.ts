import type { Command } from 'commander';
import type { Cli } from '../../cli.ts';
import { complete as candidatesFor } from '../../completion/candidates.ts';

/** What the completion scripts call; its output is theirs alone. */
export function complete(command: Command, cli: Cli): void {
  command.argument('[word...]').action(async (words: string[]) => {
    const { candidates, files, open } = await candidatesFor(cli, words);
    const lines = [
      ...candidates.map(({ word, about = '' }) => `${word}\t${about}`),
      ...(files ? [':files'] : []),
      ...(open ? [':open'] : []),
    ];
    await cli.out.write(lines.map((line) => `${line}\n`).join(''));
  });
}

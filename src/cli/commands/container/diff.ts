import type { Command } from 'commander';
import type { Cli } from '../../cli.ts';
import { examples } from '../../program.ts';
import { escapeName } from '../../render/escape.ts';
import { json } from '../../render/json.ts';

const LETTERS = { added: 'A', modified: 'C', deleted: 'D' } as const;

interface DiffOptions {
  readonly json?: boolean;
}

export function diff(command: Command, cli: Cli): void {
  command
    .argument('<container>', 'name or ID')
    .option('--json', 'everything as JSON')
    .action((name: string, options: DiffOptions) => diffContainer(cli, name, options));
  examples(command, ['mica diff web', 'files added (A), changed (C) and deleted (D)']);
}

/** Shows what a container has changed. */
export async function diffContainer(cli: Cli, name: string, options: DiffOptions): Promise<void> {
  const changes = (await (await cli.engine()).containers.changes(name)).map(({ kind, path }) => ({
    kind,
    path: Buffer.from(path, 'latin1'),
  }));
  const lines = changes.map(({ kind, path }) => `${LETTERS[kind]} ${escapeName(path)}\n`);
  await cli.out.write(
    options.json
      ? json(changes.map(({ kind, path }) => ({ kind, path: path.toString() })))
      : lines.join(''),
  );
}

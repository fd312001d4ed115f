import type { Command } from 'commander';
import { MicaError } from '../../../errors.ts';
import { openWholeFile } from '../../../io/whole-file.ts';
import type { Cli } from '../../cli.ts';
import { examples } from '../../program.ts';

export function exportTar(command: Command, cli: Cli): void {
  command
    .argument('<container>', 'name or ID')
    .option('-o, --output <file>', 'instead of standard output')
    .action((name: string, options: { readonly output?: string }) => run(cli, name, options));
  examples(command, ['mica export web | tar -tv', 'the whole tree as a tar archive']);
}

async function run(
  cli: Cli,
  name: string,
  { output }: { readonly output?: string },
): Promise<void> {
  if (output === undefined && cli.out.isTTY)
    throw new MicaError('INVALID_ARGUMENT', 'a tar archive is nothing for a terminal; redirect it');
  const { containers } = await cli.engine();
  const tar = containers.export(name, { signal: cli.signal });
  if (output === undefined) {
    for await (const chunk of tar) await cli.out.write(chunk);
    return;
  }
  await using file = await openWholeFile(output);
  for await (const chunk of tar) await file.write(chunk);
  await file.finish();
}

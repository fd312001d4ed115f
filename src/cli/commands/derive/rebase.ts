import type { Command } from 'commander';
import type { Cli } from '../../cli.ts';
import { examples } from '../../program.ts';
import { escape } from '../../render/escape.ts';
import { type DerivedOptions, derivedOptions, printDerived } from './derived.ts';

interface Options extends DerivedOptions {
  readonly oldBase?: string;
  readonly newBase?: string;
  readonly force?: boolean;
}

export function rebase(command: Command, cli: Cli): void {
  command
    .argument('<image>', 'name, digest or ID of an image')
    .option('--old-base <image>', 'what it was built on (default: as its annotations say)')
    .option(
      '--new-base <image>',
      'what it shall be built on (default: the same name, as it is now)',
    )
    .option('--force', 'also when it is not safe');
  derivedOptions(command).action((image: string, options: Options) => run(cli, image, options));
  examples(
    command,
    ['mica rebase app --old-base debian:12.1 --new-base debian:12.2 -t app', 'a patched base'],
    ['mica rebase app -t app --force', 'by its annotations, whatever is in the way'],
  );
}

async function run(cli: Cli, name: string, options: Options): Promise<void> {
  const { oldBase, newBase, force, tag: names } = options;
  const engine = await cli.engine();
  const bases = { oldBase, newBase, force: force === true };
  const { image, findings } = await engine.rebase(name, { ...bases, names, signal: cli.signal });
  if (!options.json)
    for (const { unsafe, subject, message } of findings)
      await cli.err.line(`${unsafe ? 'unsafe' : 'note'}: ${escape(subject)} ${escape(message)}`);
  await printDerived(cli, image, options, { findings });
}

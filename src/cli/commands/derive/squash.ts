import type { Command } from 'commander';
import { MicaError } from '../../../errors.ts';
import type { Cli } from '../../cli.ts';
import { parseCompression } from '../../parse/compression.ts';
import { examples } from '../../program.ts';
import { type DerivedOptions, derivedOptions, printDerived } from './derived.ts';

interface Options extends DerivedOptions {
  readonly from?: string;
  readonly compression: string;
}

export function squash(command: Command, cli: Cli): void {
  command
    .argument('<image>', 'name, digest or ID of an image')
    .option('--from <layer>', 'the lowest layer that is squashed, from 1, the base (default: all)')
    .option('--compression <how>', 'gzip, zstd or none, also with a level (zstd:12)', 'gzip');
  derivedOptions(command).action((image: string, options: Options) => run(cli, image, options));
  examples(
    command,
    ['mica squash app -t app:one', 'all layers into one; the history stays'],
    ['mica squash app --from 2 -t app:small', 'all but the base, which stays shared'],
  );
}

async function run(cli: Cli, name: string, options: Options): Promise<void> {
  const { from, tag: names, compression } = options;
  if (from !== undefined && !/^[1-9]\d{0,5}$/.test(from))
    throw new MicaError(
      'INVALID_ARGUMENT',
      `--from ${JSON.stringify(from.slice(0, 100))}: not the number of a layer; \`mica layers ${name}\` counts them`,
    );
  const engine = await cli.engine();
  const image = await engine.squash(name, {
    ...parseCompression(compression),
    ...(from !== undefined && { from: Number(from) }),
    names,
    signal: cli.signal,
  });
  await printDerived(cli, image, options);
}

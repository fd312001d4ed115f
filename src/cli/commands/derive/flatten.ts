import type { Command } from 'commander';
import type { Cli } from '../../cli.ts';
import { parseCompression } from '../../parse/compression.ts';
import { examples } from '../../program.ts';
import { type DerivedOptions, derivedOptions, printDerived } from './derived.ts';

interface Options extends DerivedOptions {
  readonly compression: string;
}

export function flatten(command: Command, cli: Cli): void {
  command
    .argument('<image>', 'name, digest or ID of an image')
    .option('--compression <how>', 'gzip, zstd or none, also with a level (zstd:12)', 'gzip');
  derivedOptions(command).action(async (name: string, options: Options) => {
    const engine = await cli.engine();
    const { tag: names, compression } = options;
    const how = parseCompression(compression);
    const image = await engine.flatten(name, { ...how, names, signal: cli.signal });
    await printDerived(cli, image, options);
  });
  examples(
    command,
    ['mica flatten app -t app:flat', 'one layer, and nothing of the steps that made it'],
    ['mica flatten app -t app:flat --compression zstd:19', 'as small as it gets'],
  );
}

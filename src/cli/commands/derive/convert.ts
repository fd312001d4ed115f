import { type Command, Option } from 'commander';
import { MicaError } from '../../../errors.ts';
import type { ImageFormat } from '../../../oci/media-type.ts';
import type { Cli } from '../../cli.ts';
import { parseCompression } from '../../parse/compression.ts';
import { examples } from '../../program.ts';
import { type DerivedOptions, derivedOptions, printDerived } from './derived.ts';

interface Options extends DerivedOptions {
  readonly compression?: string;
  readonly format?: ImageFormat;
}

export function convert(command: Command, cli: Cli): void {
  command
    .argument('<image>', 'name, digest or ID of an image')
    .option('--compression <how>', 'of layers: gzip, zstd or none, also with a level (zstd:12)')
    .addOption(new Option('--format <format>', 'of the documents').choices(['oci', 'docker']));
  derivedOptions(command).action((image: string, options: Options) => run(cli, image, options));
  examples(
    command,
    ['mica convert app --compression zstd:12 -t app:zstd', 'smaller blobs of the same layers'],
    ['mica convert app --format docker --compression gzip -t app:old', 'for old registries'],
  );
}

async function run(cli: Cli, name: string, options: Options): Promise<void> {
  const { compression, format, tag: names } = options;
  if (compression === undefined && format === undefined)
    throw new MicaError(
      'INVALID_ARGUMENT',
      `convert ${name}: say to what, with --compression or --format`,
    );
  const engine = await cli.engine();
  const how = compression === undefined ? {} : parseCompression(compression);
  const image = await engine.convert(name, { ...how, format, names, signal: cli.signal });
  await printDerived(cli, image, options);
}

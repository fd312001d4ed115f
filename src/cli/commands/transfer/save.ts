import { type Command, Option } from 'commander';
import type { SaveFormat } from '../../../engine/transfer/transfer.ts';
import { MicaError } from '../../../errors.ts';
import { parsePlatform } from '../../../oci/platform.ts';
import type { Cli } from '../../cli.ts';
import { examples } from '../../program.ts';
import { SAVE } from '../../render/progress/words.ts';
import { announcement, retrying } from '../../render/progress/text.ts';
import { terminalProgress } from '../../render/progress/terminal.ts';

interface Options {
  readonly output?: string;
  readonly format: SaveFormat;
  readonly have: readonly string[];
  readonly platform?: string;
  readonly quiet?: boolean;
}

export function save(command: Command, cli: Cli): void {
  command
    .argument('<image...>', 'names or IDs of images')
    .option('-o, --output <file>', 'instead of standard output; a directory with oci-dir')
    .addOption(
      new Option('--format <format>', 'docker-archive has what docker, podman and OCI tools read')
        .choices(['docker-archive', 'oci-archive', 'oci-dir'])
        .default('docker-archive'),
    )
    .option(
      '--have <image>',
      'leave out layers of an image that the other side has (may be repeated)',
      (name: string, before: readonly string[]) => [...before, name],
      [],
    )
    .option('--platform <os/arch>', 'fail unless the images are for it')
    .option('-q, --quiet', 'show no progress')
    .action((images: string[], options: Options) => run(cli, images, options));
  examples(
    command,
    ['mica save -o redis.tar redis:7', 'an archive that `mica load` and `docker load` read'],
    ['mica save app:1 app:2 | ssh host mica load', 'several images, their common layers once'],
    ['mica save --have app:1 -o update.tar app:2', 'only what is new in app:2'],
    ['mica save --format oci-dir -o layout redis', 'an OCI image layout'],
  );
}

async function run(cli: Cli, images: string[], options: Options): Promise<void> {
  const { output, format, have, platform, quiet } = options;
  if (output === undefined && format === 'oci-dir')
    throw new MicaError('INVALID_ARGUMENT', 'a layout is a directory: give it with --output');
  if (output === undefined && cli.out.isTTY)
    throw new MicaError(
      'INVALID_ARGUMENT',
      'an archive is not for a terminal: use --output, or redirect',
    );
  const engine = await cli.engine();
  // Standard output may be the archive; a log of a save tells nobody anything but its warnings, and why it waits.
  const renderer = !quiet && cli.err.isTTY ? terminalProgress(cli.err.stream, SAVE) : undefined;
  const warnings: string[] = [];
  try {
    await engine.save(images, output ?? ((chunk) => cli.out.write(chunk)), {
      format,
      have,
      platform: platform === undefined ? undefined : parsePlatform(platform),
      signal: cli.signal,
      onProgress: (event) => {
        if (renderer) renderer.event(event);
        else if (event.type === 'retry' && !quiet) cli.err.stream.write(`${retrying(event)}\n`);
        else if (event.type === 'warning') warnings.push(announcement(event)!);
      },
    });
  } finally {
    renderer?.end(undefined);
  }
  for (const warning of warnings) await cli.err.line(warning);
}

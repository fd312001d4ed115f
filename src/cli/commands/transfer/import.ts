import type { Command } from 'commander';
import { MicaError } from '../../../errors.ts';
import { parsePlatform } from '../../../oci/platform.ts';
import type { Cli } from '../../cli.ts';
import { examples } from '../../program.ts';
import { settle } from '../../settle.ts';

interface Options {
  readonly change: readonly string[];
  readonly message?: string;
  readonly platform?: string;
}

export function importTar(command: Command, cli: Cli): void {
  command
    .argument('<file>', 'tar of a file system: a path, a URL, or - for standard input')
    .argument('[name]', 'what the image is called')
    .option(
      '-c, --change <instruction>',
      'Dockerfile instruction for the image (may be repeated)',
      (change: string, before: readonly string[]) => [...before, change],
      [],
    )
    .option('-m, --message <text>', 'comment of the image')
    .option('--platform <os/arch>', 'what the files are for; default: this machine')
    .action((source: string, name: string | undefined, options: Options) =>
      run(cli, source, name, options),
    );
  examples(
    command,
    ['mica import rootfs.tar.gz debian:mine', 'an image of one layer'],
    ['mica import -c \'CMD ["bash"]\' - base < rootfs.tar', 'from standard input, with a command'],
    ['mica import https://example.com/rootfs.tar.zst', 'known by its ID'],
  );
}

async function run(
  cli: Cli,
  source: string,
  name: string | undefined,
  { change, message, platform }: Options,
): Promise<void> {
  const engine = await cli.engine();
  const image = await engine.import(sourceOf(cli, source), name, {
    changes: change,
    message,
    platform: platform === undefined ? undefined : parsePlatform(platform),
    signal: cli.signal,
  });
  await cli.out.line(image.id);
  await settle(cli, engine);
}

function sourceOf(
  cli: Cli,
  source: string,
): Parameters<Awaited<ReturnType<Cli['engine']>>['import']>[0] {
  if (source === '-') return { bytes: cli.stdin as AsyncIterable<Uint8Array>, name: '-' };
  if (!/^https?:\/\//i.test(source)) return source;
  const address = URL.parse(source);
  if (address !== null) return address;
  throw new MicaError(
    'INVALID_ARGUMENT',
    `${JSON.stringify(source.slice(0, 200))} is not an address; write https://HOST/FILE, or the path of a file`,
  );
}

import { writeFile } from 'node:fs/promises';
import { type Command, Option } from 'commander';
import type { BuildOptions, BuildResult } from '../../../build/builder.ts';
import { MicaError } from '../../../errors.ts';
import { parsePlatform } from '../../../oci/platform.ts';
import { fromNode } from '../../../sys/errno.ts';
import type { Cli } from '../../cli.ts';
import { parseBuildContexts } from '../../parse/build-contexts.ts';
import { parseCompression } from '../../parse/compression.ts';
import { collect } from '../../parse/list.ts';
import { parsePairs, parsePairsFromHere } from '../../parse/pairs.ts';
import { parseSecrets } from '../../parse/secrets.ts';
import { examples } from '../../program.ts';
import { type BuildProgress, openBuildProgress } from '../../render/build/open.ts';
import { json } from '../../render/json.ts';

interface Options extends BuildProgress {
  readonly tag?: readonly string[];
  readonly file?: string;
  readonly buildArg?: readonly string[];
  readonly buildContext?: readonly string[];
  readonly addHost?: readonly string[];
  readonly network: 'default' | 'none' | 'host';
  readonly label?: readonly string[];
  readonly secret?: readonly string[];
  readonly target?: string;
  readonly platform?: string;
  readonly compression: string;
  readonly cache: boolean;
  readonly pull?: boolean;
  readonly iidfile?: string;
}

export function build(command: Command, cli: Cli): void {
  command
    .argument(
      '<context>',
      'directory with the files to build from; - for an archive of it on standard input',
    )
    .option('-t, --tag <name>', 'a name for the image, may be given again', collect)
    .option(
      '-f, --file <path>',
      'the Dockerfile; - for standard input (default: Dockerfile in the context)',
    )
    .option(
      '--build-arg <name=value>',
      'a value for an ARG; NAME alone: with its value here',
      collect,
    )
    .option(
      '--build-context <name=where>',
      'another place for --from: a directory, or docker-image://NAME',
      collect,
    )
    .option('--target <stage>', 'build this stage, and only what it needs')
    .option('--platform <os/arch>', "build for it instead of this machine's, e.g. linux/arm64")
    .option('--label <name=value>', 'a label of the image, may be given again', collect)
    .option(
      '--secret <id=NAME,src=FILE>',
      'a file, or with env=VARIABLE a variable, that RUN --mount=type=secret may read',
      collect,
    )
    .addOption(
      new Option('--network <mode>', 'of RUN where it does not say itself')
        .choices(['default', 'none', 'host'])
        .default('default'),
    )
    .option('--add-host <name:address>', 'line in /etc/hosts of RUN, may be given again', collect)
    .option('--compression <how>', 'gzip, zstd or none, also with a level (zstd:12)', 'gzip')
    .option('--no-cache', 'make every step again')
    .option('--pull', 'ask the registry for base images that are here')
    .option('--explain', 'say of every step why it was made again')
    .option('--iidfile <path>', 'write the ID of the image to a file')
    .option('-q, --quiet', 'print the ID only')
    .addOption(
      new Option('--progress <style>', 'how to show progress')
        .choices(['auto', 'tty', 'plain', 'json', 'quiet'])
        .default('auto'),
    )
    .option('--json', 'the result as JSON; progress goes to stderr')
    .action((context: string, options: Options) => run(cli, context, options));
  examples(
    command,
    ['mica build -t app:1 .', 'from the Dockerfile here'],
    [
      'mica build --explain -t app:1 .',
      'and say which file or argument made a step miss the cache',
    ],
    ['mica build --target test --build-arg V=2 .', 'one stage, with a value for an ARG'],
    ['tar c . | mica build -t app:1 -', 'from an archive'],
  );
}

async function run(cli: Cli, context: string, options: Options): Promise<void> {
  const builder = await cli.builder();
  const progress = await openBuildProgress(cli, options);
  let result: BuildResult | undefined;
  try {
    result = await builder.build({
      ...(await requestOf(cli, context, options)),
      onProgress: progress && ((event) => progress.event(event)),
      signal: cli.signal,
    });
  } finally {
    progress?.end(result);
  }
  const { image, tags, cached, steps } = result;
  if (options.iidfile !== undefined) await writeId(options.iidfile, image.id);
  if (options.json)
    await cli.out.write(
      json({ id: image.id, manifest: image.manifestDescriptor, tags, cached, steps }),
    );
  else if (progress === undefined) await cli.out.line(image.id);
}

async function requestOf(cli: Cli, context: string, options: Options): Promise<BuildOptions> {
  const { file, tag, buildArg, label, secret = [], target, platform, pull } = options;
  if (context === '-' && file === '-')
    throw new MicaError('INVALID_ARGUMENT', 'context and Dockerfile cannot both be standard input');
  return {
    context: context === '-' ? cli.stdin : context,
    dockerfile: file === '-' ? Buffer.concat(await Array.fromAsync(cli.stdin)) : file,
    tags: tag,
    args: parsePairsFromHere('--build-arg', buildArg),
    labels: parsePairs('--label', label),
    secrets: parseSecrets(secret),
    target,
    platform: platform === undefined ? undefined : parsePlatform(platform),
    ...parseCompression(options.compression),
    contexts: parseBuildContexts(options.buildContext),
    network: options.network === 'default' ? undefined : options.network,
    hosts: options.addHost,
    noCache: !options.cache,
    pull,
  };
}

async function writeId(path: string, id: string): Promise<void> {
  try {
    await writeFile(path, id);
  } catch (error) {
    throw fromNode(error);
  }
}

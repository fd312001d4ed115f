import type { Command } from 'commander';
import type { PushOptions, PushResult } from '../../../engine/transfer/transfer.ts';
import { MicaError } from '../../../errors.ts';
import { parsePlatform } from '../../../oci/platform.ts';
import {
  formatReference,
  parseReference,
  repositoryOf,
  withDefaults,
} from '../../../oci/reference.ts';
import type { Cli } from '../../cli.ts';
import { examples } from '../../program.ts';
import { json } from '../../render/json.ts';
import { pushConclusion, pushed } from '../../render/progress/conclusions.ts';
import { openProgress, type ProgressOptions, progressOptions } from '../../render/progress/open.ts';
import { PUSH } from '../../render/progress/words.ts';

interface Options extends ProgressOptions {
  readonly allTags?: boolean;
  readonly platform?: string;
}

export function push(command: Command, cli: Cli): void {
  progressOptions(command)
    .argument('<image>', 'name of an image, which says where it goes')
    .option('-a, --all-tags', 'every tag of the repository that is here')
    .option('-q, --quiet', 'print the name only')
    .option('--platform <os/arch>', 'of the images that were pulled by this name, e.g. linux/arm64')
    .action((image: string, options: Options) => run(cli, image, options));
  examples(
    command,
    ['mica push localhost:5000/team/app:1', 'what the registry has is not sent'],
    ['mica push --all-tags ghcr.io/team/app', 'every tag of it that is here'],
  );
}

async function run(cli: Cli, image: string, options: Options): Promise<void> {
  const { domain, path, tag } = parseReference(image);
  if (options.allTags && tag !== undefined)
    throw new MicaError(
      'INVALID_ARGUMENT',
      `--all-tags is for a repository: leave out the tag ":${tag}"`,
    );
  const repository = repositoryOf({ domain, path });
  const references = options.allTags
    ? await tagsOf(cli, repository)
    : [formatReference(withDefaults(parseReference(image)))];
  if (!options.quiet && !options.json && options.progress !== 'json')
    await cli.out.line(`The push refers to repository [${repository}]`);
  const request = {
    platform: options.platform === undefined ? undefined : parsePlatform(options.platform),
    signal: cli.signal,
  };
  const results: object[] = [];
  for (const reference of references)
    results.push(pushed(await pushOne(cli, reference, request, options)));
  if (options.json) await cli.out.write(json(options.allTags ? results : results[0]));
}

async function tagsOf(cli: Cli, repository: string): Promise<string[]> {
  const images = await (await cli.engine()).images();
  const names = images.flatMap(({ references }) => references);
  const tags = names.filter((name) => repositoryOf(parseReference(name)) === repository);
  if (tags.length > 0) return tags.toSorted();
  throw new MicaError('NOT_FOUND', `no image here has a name in ${repository}`);
}

async function pushOne(
  cli: Cli,
  reference: string,
  request: PushOptions,
  options: Options,
): Promise<PushResult> {
  const engine = await cli.engine();
  const renderer = await openProgress(cli, options, PUSH);
  let result: PushResult | undefined;
  try {
    result = await engine.push(reference, {
      ...request,
      onProgress: renderer && ((event) => renderer.event(event)),
    });
  } finally {
    renderer?.end(result && pushConclusion(result));
  }
  if (!renderer && !options.json) await cli.out.line(result.reference);
  return result;
}

import type { Command } from 'commander';
import type { Engine } from '../../../engine/engine.ts';
import type { PullOptions, PullResult } from '../../../engine/pull/pull.ts';
import { parsePlatform } from '../../../oci/platform.ts';
import { formatReference, parseReference, repositoryOf } from '../../../oci/reference.ts';
import type { Cli } from '../../cli.ts';
import { examples } from '../../program.ts';
import { json } from '../../render/json.ts';
import { pullConclusion, pulled } from '../../render/progress/conclusions.ts';
import { openProgress, type ProgressOptions, progressOptions } from '../../render/progress/open.ts';
import { PULL } from '../../render/progress/words.ts';
import { settle } from '../../settle.ts';
import { SmallNursery } from '../../small-nursery.ts';

interface Options extends ProgressOptions {
  readonly platform?: string;
  readonly allTags?: boolean;
  readonly dryRun?: boolean;
}

export function pull(command: Command, cli: Cli): void {
  progressOptions(command)
    .argument('<image>', 'reference of an image in a registry')
    .option('--platform <os/arch>', "instead of this machine's, e.g. linux/arm64/v8")
    .option('-a, --all-tags', 'every tag of the repository')
    .option('-q, --quiet', 'print the name only')
    .option('--dry-run', 'say what would be fetched, and fetch nothing')
    .action((image: string, options: Options) => run(cli, image, options));
  examples(
    command,
    ['mica pull redis', 'docker.io/library/redis:latest for this machine'],
    ['mica pull --platform linux/arm64 redis:7', 'for another'],
    ['mica pull --dry-run redis', 'bytes to fetch, bytes already here, disk space'],
    ['mica pull --progress json redis', 'every step as a line of JSON'],
  );
}

async function run(cli: Cli, image: string, options: Options): Promise<void> {
  const engine = await cli.engine();
  const platform = options.platform === undefined ? undefined : parsePlatform(options.platform);
  const references = options.allTags ? await allTags(cli, engine, image) : [image];
  const results: object[] = [];
  for (const reference of references) {
    const request = { platform, signal: cli.signal };
    results.push(
      options.dryRun
        ? await showPlan(cli, engine, reference, request, options)
        : pulled(await pullOne(cli, engine, reference, request, options)),
    );
  }
  if (options.json) await cli.out.write(json(options.allTags ? results : results[0]));
  if (!options.dryRun) await settle(cli, engine);
}

async function allTags(cli: Cli, engine: Engine, image: string): Promise<string[]> {
  const repository = repositoryOf(parseReference(image));
  const tags = await Array.fromAsync(engine.listRemoteTags(repository, { signal: cli.signal }));
  const { domain, path } = parseReference(repository);
  return tags.map((tag) => formatReference({ domain, path, tag }));
}

async function showPlan(
  cli: Cli,
  engine: Engine,
  reference: string,
  request: PullOptions,
  options: Options,
): Promise<object> {
  const plan = await engine.plan(reference, request);
  if (!options.json) {
    const { renderPlan } = await import('../../render/image/plan.ts');
    await cli.out.write(renderPlan(plan, cli.out.columns));
  }
  return plan;
}

async function pullOne(
  cli: Cli,
  engine: Engine,
  reference: string,
  request: PullOptions,
  options: Options,
): Promise<PullResult> {
  const renderer = await openProgress(cli, options, PULL);
  using nursery = new SmallNursery();
  let result: PullResult | undefined;
  try {
    result = await engine.pull(reference, {
      ...request,
      onProgress: (event) => {
        nursery.hear(event);
        renderer?.event(event);
      },
    });
  } finally {
    renderer?.end(result && pullConclusion(result));
  }
  if (!renderer && !options.json) await cli.out.line(result.reference);
  return result;
}

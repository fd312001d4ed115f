import type { Command } from 'commander';
import type { LoadedImage } from '../../../engine/transfer/transfer.ts';
import { MicaError } from '../../../errors.ts';
import { parsePlatform } from '../../../oci/platform.ts';
import type { Cli } from '../../cli.ts';
import { examples } from '../../program.ts';
import { json } from '../../render/json.ts';
import { settle } from '../../settle.ts';
import { loadConclusion, loadedImage } from '../../render/progress/conclusions.ts';
import { openProgress, type ProgressOptions, progressOptions } from '../../render/progress/open.ts';
import { LOAD } from '../../render/progress/words.ts';

interface Options extends ProgressOptions {
  readonly input?: string;
  readonly platform?: string;
}

export function load(command: Command, cli: Cli): void {
  progressOptions(command)
    .option('-i, --input <file>', 'archive or layout directory, instead of standard input')
    .option('--platform <os/arch>', "instead of this machine's, e.g. linux/arm64/v8")
    .option('-q, --quiet', 'print the names only')
    .action((options: Options) => run(cli, options));
  examples(
    command,
    ['mica load -i redis.tar', 'what docker, podman, skopeo or Mica saved, compressed or not'],
    ['curl -s https://example.com/app.tar.zst | mica load', 'from standard input'],
    ['mica load -i layout', 'an OCI image layout'],
  );
}

async function run(cli: Cli, options: Options): Promise<void> {
  const { input, platform } = options;
  if (input === undefined && cli.stdin.isTTY)
    throw new MicaError(
      'INVALID_ARGUMENT',
      'an archive is not typed: use --input, or redirect standard input',
    );
  const engine = await cli.engine();
  const renderer = await openProgress(cli, options, LOAD);
  const from = input ?? { bytes: cli.stdin as AsyncIterable<Uint8Array>, name: 'standard input' };
  let loaded: LoadedImage[] | undefined;
  try {
    loaded = await engine.load(from, {
      platform: platform === undefined ? undefined : parsePlatform(platform),
      signal: cli.signal,
      onProgress: renderer && ((event) => renderer.event(event)),
    });
  } finally {
    renderer?.end(loaded && loadConclusion(loaded));
  }
  if (options.json) await cli.out.write(json(loaded.map(loadedImage)));
  else if (!renderer) for (const line of loadConclusion(loaded).lines) await cli.out.line(line);
  await settle(cli, engine);
}

import type { Command } from 'commander';
import { parsePlace } from '../../../engine/transfer/place.ts';
import type { CopyResult } from '../../../engine/transfer/transfer.ts';
import { parsePlatform } from '../../../oci/platform.ts';
import type { Cli } from '../../cli.ts';
import { examples } from '../../program.ts';
import { json } from '../../render/json.ts';
import { settle } from '../../settle.ts';
import { copied, copyConclusion } from '../../render/progress/conclusions.ts';
import { openProgress, type ProgressOptions, progressOptions } from '../../render/progress/open.ts';
import { COPY } from '../../render/progress/words.ts';

interface Options extends ProgressOptions {
  readonly all?: boolean;
  readonly platform?: string;
}

export function copy(command: Command, cli: Cli): void {
  progressOptions(command)
    .argument('<from>', 'where an image is, see below; a plain name is one of the store')
    .argument('<to>', 'where it goes')
    .option('-a, --all', 'the images of all platforms, and their index')
    .option('--platform <os/arch>', "instead of this machine's, e.g. linux/arm64/v8")
    .option('-q, --quiet', 'print the digest only')
    .action((from: string, to: string, options: Options) => run(cli, from, to, options));
  command.addHelpText(
    'after',
    `
Places:
  docker://REFERENCE            a registry
  oci:DIRECTORY[:TAG]           an OCI image layout
  oci-archive:FILE[:TAG]        a layout in a tar
  docker-archive:FILE[:NAME]    what docker saves and loads
  mica:NAME or NAME             the store, where images are unpacked`,
  );
  examples(
    command,
    ['mica copy docker://redis:7 docker://localhost:5000/redis:7', 'from registry to registry'],
    ['mica copy --all docker://redis:7 oci:layout:7', 'all platforms into a layout'],
    ['mica copy oci-archive:app.tar app:1', 'into the store, as load does'],
  );
}

async function run(cli: Cli, from: string, to: string, options: Options): Promise<void> {
  const isOfStore = [from, to].some((place) => parsePlace(place).kind === 'store');
  const engine = isOfStore ? await cli.engine() : await cli.store();
  const renderer = await openProgress(cli, options, COPY);
  let result: CopyResult | undefined;
  try {
    result = await engine.copy(from, to, {
      all: options.all,
      platform: options.platform === undefined ? undefined : parsePlatform(options.platform),
      signal: cli.signal,
      onProgress: renderer && ((event) => renderer.event(event)),
    });
  } finally {
    renderer?.end(result && copyConclusion(result));
  }
  if (options.json) await cli.out.write(json(copied(result)));
  else if (!renderer) await cli.out.line(result.target.digest);
  if (result.image !== undefined) await settle(cli, engine);
}

import type { Command } from 'commander';
import type { Cli } from '../../cli.ts';
import { forEachTarget } from '../../failure.ts';
import { examples } from '../../program.ts';
import { escape } from '../../render/escape.ts';
import { json } from '../../render/json.ts';
import { shortName } from '../../render/name.ts';

interface Options {
  readonly force?: boolean;
  readonly prune: boolean;
  readonly json?: boolean;
}

export function rmi(command: Command, cli: Cli): void {
  command
    .argument('<image...>', 'names, digests or IDs of images')
    .option('-f, --force', 'with an ID: also when the image has several names')
    .option('--no-prune', 'keep layers and blobs that nothing uses any more until the next gc')
    .option('--json', 'print what was removed as JSON')
    .action((images: string[], options: Options) => remove(cli, images, options));
  examples(
    command,
    ['mica rmi redis:7', 'remove a name, and the image when that was its last one'],
    ['mica rmi -f 4f3a2b1c', 'remove an image with all its names'],
    ['mica rmi $(mica images -q --filter dangling=true)', 'remove all images without a name'],
  );
}

async function remove(cli: Cli, images: string[], options: Options): Promise<void> {
  const engine = await cli.engine();
  const all = { untagged: [] as string[], deleted: [] as string[] };
  const failed = await forEachTarget(cli, images, async (image) => {
    const { untagged, deleted } = await engine.remove(image, { force: options.force === true });
    all.untagged.push(...untagged);
    all.deleted.push(...deleted);
    if (options.json) return;
    for (const reference of untagged)
      await cli.out.line(`Untagged: ${escape(shortName(reference))}`);
    for (const id of deleted) await cli.out.line(`Deleted: ${id}`);
  }).catch((error: unknown) => ({ error }));
  if (options.prune && all.deleted.length > 0) await engine.gc({ signal: cli.signal });
  if (options.json) await cli.out.write(json(all));
  if (failed) throw failed.error;
}

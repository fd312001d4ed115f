import { type Command } from 'commander';
import type { Cli } from '../../cli.ts';
import { forEachTarget } from '../../failure.ts';
import { parseImageSpec } from '../../parse/image-path.ts';
import { examples } from '../../program.ts';
import { escape } from '../../render/escape.ts';
import { json } from '../../render/json.ts';

interface Options {
  readonly all?: boolean;
  readonly json?: boolean;
}

export function umount(command: Command, cli: Cli): void {
  command
    .argument('[target...]', 'mount points, or images all of whose views are meant')
    .option('-a, --all', 'every view there is')
    .option('--json', 'print what was unmounted as JSON')
    .action(async (targets: string[], options: Options) => {
      if (targets.length === 0 && !options.all)
        command.error("error: missing argument 'target', or --all");
      await unmount(cli, targets, options);
    });
  examples(
    command,
    ['mica umount redis', 'all views of an image'],
    ['mica umount redis@3', 'the view of its first three layers'],
    ['mica umount /mnt', 'one of them'],
    ['mica umount --all', 'every view of this store'],
  );
}

/** A path is taken as it is; `IMAGE@N` is what `mica mount` takes. */
function viewOf(target: string): [target: string, options: { layers?: number | undefined }] {
  if (target.startsWith('/') || target.startsWith('.')) return [target, {}];
  const { image, layers } = parseImageSpec(target);
  return [image, { layers }];
}

async function unmount(cli: Cli, targets: string[], options: Options): Promise<void> {
  const engine = await cli.engine();
  const wanted = options.all ? (await engine.mounted()).map(({ target }) => target) : targets;
  const all: string[] = [];
  const failed = await forEachTarget(cli, wanted, async (target) => {
    const unmounted = await engine.unmount(...viewOf(target));
    all.push(...unmounted);
    if (!options.json) for (const path of unmounted) await cli.out.line(escape(path));
  }).catch((error: unknown) => ({ error }));
  if (options.json) await cli.out.write(json(all));
  if (failed) throw failed.error;
}

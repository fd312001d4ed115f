import type { Command } from 'commander';
import type { MountResult } from '../../../engine/mounts.ts';
import { resolve } from 'node:path';
import type { Cli } from '../../cli.ts';
import { parseImageSpec } from '../../parse/image-path.ts';
import { examples } from '../../program.ts';
import { provideImage, pullOption, type Wanted } from '../../provide-image.ts';
import { json } from '../../render/json.ts';
import { imageName } from '../../render/name.ts';

interface Options extends Wanted {
  readonly json?: boolean;
}

export function mount(command: Command, cli: Cli): void {
  pullOption(command)
    .option('-q, --quiet', 'no progress of a pull')
    .argument('[image]', 'image, or IMAGE@N for its first N layers; none: list what is mounted')
    .argument('[directory]', 'where; default: a directory of the store')
    .option('--json', 'print it as JSON')
    .action((image: string | undefined, directory: string | undefined, options: Options) =>
      image === undefined ? list(cli, options) : perform(cli, image, directory, options),
    );
  examples(
    command,
    ['mica mount redis', 'prints where; pulled if it is not here'],
    ['mica mount --pull always redis', 'as it is in its registry now'],
    ['mica mount redis@3 /mnt', 'its first three layers, in /mnt'],
    ['mica mount', 'what is mounted now'],
    ['mica umount redis', 'all views of an image'],
  );
}

async function perform(
  cli: Cli,
  text: string,
  directory: string | undefined,
  options: Options,
): Promise<void> {
  const { image, layers } = parseImageSpec(text);
  const engine = await cli.engine();
  await provideImage(cli, engine, image, options);
  const target = directory === undefined ? undefined : resolve(directory);
  const result = await engine.mount(image, { layers, target });
  await (options.json ? cli.out.write(json(result)) : cli.out.line(result.target));
}

async function list(cli: Cli, options: Options): Promise<void> {
  const engine = await cli.engine();
  const mounted = await engine.mounted();
  if (options.json) return cli.out.write(json(mounted));
  const images = new Map((await engine.images()).map((image) => [image.id as string, image]));
  const rows = mounted.map(({ target, image, layers }: MountResult) => {
    const known = images.get(image);
    return [known ? imageName(known) : image, String(layers), target];
  });
  const layout = [{ head: 'IMAGE' }, { head: 'LAYERS', right: true }, { head: 'MOUNTED ON' }];
  const { table } = await import('../../render/table.ts');
  return cli.out.write(table(layout, rows));
}

import type { Command } from 'commander';
import { layerForest } from '../../../explain/sharing.ts';
import type { Cli } from '../../cli.ts';
import { examples } from '../../program.ts';
import { json } from '../../render/json.ts';
import { forestJson, renderForest, renderSaving } from '../../render/layer/tree.ts';

interface Options {
  readonly layers?: boolean;
  readonly json?: boolean;
}

export function tree(command: Command, cli: Cli): void {
  command
    .option('-l, --layers', 'each layer on a line of its own')
    .option('--json', 'the forest as JSON')
    .action((options: Options) => show(cli, options));
  examples(
    command,
    ['mica tree', 'images that share their first layers share a trunk'],
    ['mica tree --layers', 'with every layer'],
  );
}

async function show(cli: Cli, options: Options): Promise<void> {
  const images = await (await cli.engine()).images();
  const forest = layerForest(images);
  if (options.json) return cli.out.write(json(forestJson(forest)));
  const { columns } = cli.out;
  const text = renderForest(forest, { layers: options.layers === true, columns });
  return cli.out.write(text + (images.length > 0 ? `\n${renderSaving(images)}` : ''));
}

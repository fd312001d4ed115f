import type { Command } from 'commander';
import { layerChanges } from '../../../explain/changes.ts';
import { sharedWith } from '../../../explain/sharing.ts';
import { layerHistory } from '../../../oci/config.ts';
import type { Cli } from '../../cli.ts';
import { examples } from '../../program.ts';
import { json } from '../../render/json.ts';
import { layerJson, type LayerReport, renderLayers } from '../../render/layer/layers.ts';

interface Options {
  readonly trunc: boolean;
  readonly json?: boolean;
}

export function layers(command: Command, cli: Cli): void {
  command
    .argument('<image>', 'name, digest or ID of an image')
    .option('--no-trunc', 'whole digests, commands and lists of images')
    .option('--json', 'everything as JSON')
    .action((image: string, options: Options) => show(cli, image, options));
  examples(
    command,
    ['mica layers redis', 'a line a layer, base first'],
    ["mica layers --json redis | jq '.[].diffId'", 'for programs'],
  );
}

async function show(cli: Cli, name: string, options: Options): Promise<void> {
  const engine = await cli.engine();
  const image = await engine.image(name);
  await using tree = await engine.tree(name);
  const changes = layerChanges(tree);
  const sharing = sharedWith(image, await engine.images());
  const history = layerHistory(image.config);
  const reports = image.layers.map(
    (stored, index): LayerReport => ({
      layer: index + 1,
      stored,
      changes: changes[index]!,
      createdBy: history[index]?.created_by,
      sharedWith: sharing[index]!,
    }),
  );
  await cli.out.write(
    options.json
      ? json(reports.map(layerJson))
      : renderLayers(reports, { trunc: options.trunc, columns: cli.out.columns }),
  );
}

import type { Command } from 'commander';
import { layerChanges } from '../../../explain/changes.ts';
import { sharedWith } from '../../../explain/sharing.ts';
import { layerHistory } from '../../../oci/config.ts';
import type { Cli } from '../../cli.ts';
import { examples } from '../../program.ts';
import type { Engine } from '../../../engine/engine.ts';
import type { StoredImage } from '../../../engine/stored-image.ts';
import { isCode } from '../../../errors.ts';
import { json } from '../../render/json.ts';
import {
  layerJson,
  type LayerReport,
  renderLayers,
  type WritableLayer,
  writableJson,
} from '../../render/layer/layers.ts';

interface Options {
  readonly trunc: boolean;
  readonly json?: boolean;
}

export function layers(command: Command, cli: Cli): void {
  command
    .argument('<name>', 'name, digest or ID of an image, or name or ID of a container')
    .option('--no-trunc', 'whole digests, commands and lists of images')
    .option('--json', 'everything as JSON')
    .action((image: string, options: Options) => show(cli, image, options));
  examples(
    command,
    ['mica layers redis', 'a line a layer, base first'],
    ['mica layers web', 'those of a container, and the writable one on top'],
    ["mica layers --json redis | jq '.[].diffId'", 'for programs'],
  );
}

async function show(cli: Cli, name: string, options: Options): Promise<void> {
  const engine = await cli.engine();
  const { image, writable } = await find(engine, name);
  await using tree = await engine.tree(image.id);
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
      ? json([...reports.map(layerJson), ...(writable ? [writableJson(writable)] : [])])
      : renderLayers(reports, writable, { trunc: options.trunc, columns: cli.out.columns }),
  );
}

/** An image first, as everywhere; what is none may be a container. */
async function find(
  engine: Engine,
  name: string,
): Promise<{ readonly image: StoredImage; readonly writable?: WritableLayer }> {
  try {
    return { image: await engine.image(name) };
  } catch (error) {
    if (!isCode(error, 'NOT_FOUND') && !isCode(error, 'INVALID_ARGUMENT')) throw error;
    const { containers } = engine;
    const container = await containers.get(name).catch(() => undefined);
    if (container === undefined) throw error;
    const { size } = await containers.usage(container.id);
    const changes = await containers.changes(container.id);
    const image = await containers.imageOf(container);
    return { image, writable: { container: container.name, size, changes } };
  }
}

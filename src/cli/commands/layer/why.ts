import type { Command } from 'commander';
import { whyOf } from '../../../explain/why.ts';
import { layerHistory } from '../../../oci/config.ts';
import type { StoredImage } from '../../../engine/stored-image.ts';
import { MicaError } from '../../../errors.ts';
import type { Cli } from '../../cli.ts';
import { PartialFailure } from '../../failure.ts';
import { parseImagePaths } from '../../parse/image-path.ts';
import { examples } from '../../program.ts';
import { json } from '../../render/json.ts';
import { shortId } from '../../render/name.ts';
import { type LayerLabel, renderWhy, whyJson } from '../../render/layer/why.ts';

interface Options {
  readonly json?: boolean;
}

export function why(command: Command, cli: Cli): void {
  command
    .argument('<image>', 'image, IMAGE@N for its first N layers, or IMAGE:/path')
    .argument('[path]', 'path in the image')
    .option('--json', 'the answer as JSON')
    .action((image: string, path: string | undefined, options: Options) =>
      explain(cli, image, path, options),
    );
  examples(
    command,
    ['mica why redis /etc/passwd', 'which layer gives it, and what it hides'],
    ['mica why redis:/bin/sh', 'through which links it is reached, too'],
    ['mica why redis /var/cache/apt', 'which layer deleted what was there'],
  );
}

async function explain(
  cli: Cli,
  first: string,
  second: string | undefined,
  options: Options,
): Promise<void> {
  const [place] = parseImagePaths(first, second === undefined ? [] : [second]);
  const { image: name, layers, path } = place!;
  const engine = await cli.engine();
  const image = await engine.image(name);
  await using tree = await engine.tree(name, { layers });
  const answer = whyOf(tree, path);
  if (options.json) {
    const { raw } = tree.resolve(path, { follow: false });
    await cli.out.write(json(whyJson(answer, raw)));
  } else await cli.out.write(renderWhy(answer, labelsOf(image)));
  if (answer.state === 'absent')
    throw new PartialFailure(new MicaError('NOT_FOUND', `${path} is in no layer of ${name}`));
}

function labelsOf(image: StoredImage): LayerLabel[] {
  const history = layerHistory(image.config);
  return image.layers.map(({ diffId }, index) => ({
    id: shortId(diffId),
    createdBy: history[index]?.created_by,
  }));
}

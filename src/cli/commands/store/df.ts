import type { Command } from 'commander';
import type { Cli } from '../../cli.ts';
import { examples } from '../../program.ts';
import { renderUsage } from '../../render/store/df.ts';
import { renderEachBlob, renderLayerBlobs } from '../../render/store/blobs.ts';
import { json } from '../../render/json.ts';

interface Options {
  readonly verbose?: boolean;
  readonly json?: boolean;
}

export function df(command: Command, cli: Cli): void {
  command
    .option('-v, --verbose', 'every blob, layer and partial download')
    .option('--json', 'everything, in bytes, as JSON')
    .action(async (options: Options) => {
      const engine = await cli.engine();
      const [usage, layerBlobs] = [await engine.usage(), await engine.layerBlobs()];
      if (options.json) return cli.out.write(json({ ...usage, layerBlobs }));
      const verbose = options.verbose === true;
      const texts = [
        renderUsage(usage, verbose),
        renderLayerBlobs(layerBlobs),
        ...(verbose ? [renderEachBlob(layerBlobs)] : []),
      ];
      await cli.out.write(texts.filter((text) => text !== '').join('\n'));
    });
  examples(
    command,
    ['mica df', 'what removing each image would free, and what images share'],
    ['mica df -v', 'blob by blob, layer by layer'],
    ['mica df --json | jq .reclaimable', 'for programs'],
  );
}

import { setPriority } from 'node:os';
import { type Command, Argument } from 'commander';
import type { LayerBlobsPolicy } from '../../../engine/config.ts';
import type { SettleEvent, SettleResult } from '../../../engine/blobs/settle.ts';
import { MicaError } from '../../../errors.ts';
import type { Cli } from '../../cli.ts';
import { PartialFailure } from '../../failure.ts';
import { examples } from '../../program.ts';
import { escape } from '../../render/escape.ts';
import { json } from '../../render/json.ts';
import { retrying } from '../../render/progress/text.ts';
import { shortId } from '../../render/name.ts';
import { count, size } from '../../render/quantity.ts';
import { renderEachBlob, renderLayerBlobs } from '../../render/store/blobs.ts';

interface Options {
  readonly json?: boolean;
}

export function blobs(command: Command, cli: Cli): void {
  command
    .addArgument(
      new Argument(
        '[policy]',
        'what happens to them from now on; default: show what is and what could be',
      ).choices(['keep', 'recreate', 'refetch']),
    )
    .option('--json', 'print it as JSON')
    .action((policy: LayerBlobsPolicy | undefined, options: Options) =>
      policy === undefined ? show(cli, options) : apply(cli, policy, options),
    );
  examples(
    command,
    ['mica blobs', 'what the compressed layers take, and what each policy would free'],
    ['mica blobs recreate', 'drop those that can be made again bit for bit from their layers'],
    ['mica blobs refetch', 'drop those that can be fetched again from where they were pulled'],
    ['mica blobs keep', 'bring back what was dropped, and keep it'],
  );
}

/** What a pull leaves to do, in a process of its own that nobody waits for. */
export function settle(command: Command, cli: Cli): void {
  command.action(async () => {
    if (process.platform !== 'win32') setPriority(0, 19);
    await (await cli.engine()).settleBlobs({ signal: cli.signal });
  });
}

async function show(cli: Cli, options: Options): Promise<void> {
  const report = await (await cli.engine()).layerBlobs();
  if (options.json) return cli.out.write(json(report));
  const tables = [renderLayerBlobs(report), renderEachBlob(report)].filter((text) => text !== '');
  await cli.out.write(tables.join('\n') || `No layers; layer-blobs is ${report.policy}\n`);
}

async function apply(cli: Cli, policy: LayerBlobsPolicy, options: Options): Promise<void> {
  const engine = await cli.engine();
  await engine.setLayerBlobs(policy);
  const result = await engine.settleBlobs({
    restore: true,
    wait: true,
    signal: cli.signal,
    onProgress: (event) => {
      if (!options.json) cli.out.stream.write(`${lineOf(event)}\n`);
    },
  });
  await cli.out.write(options.json ? json(result) : `${summary(result)}\n`);
  const { failed } = result;
  if (failed.length > 0)
    throw new PartialFailure(
      new MicaError('UNAVAILABLE', `${count(failed.length, 'blob')} failed; try again`),
    );
}

function lineOf(event: SettleEvent): string {
  if (event.type === 'retry') return retrying(event);
  const name = `${shortId(event.target.digest)} ${size(event.target.size)}`;
  if (event.type === 'restored') return `${name}: is back`;
  if (event.type === 'proven')
    return `${name}: can be made again, in ${(event.milliseconds / 1000).toFixed(1)}s`;
  return `${name}: ${event.type === 'failed' ? 'failed' : 'is kept'}: ${escape(event.reason)}`;
}

function summary({ policy, dropped, restored, bytes }: SettleResult): string {
  const parts = [
    ...(dropped.length > 0 ? [`${count(dropped.length, 'blob')} dropped`] : []),
    ...(restored.length > 0 ? [`${count(restored.length, 'blob')} brought back`] : []),
  ];
  return `layer-blobs is ${policy}${parts.length > 0 ? `: ${parts.join(', ')}` : ''}\nTotal reclaimed space: ${size(bytes)}`;
}

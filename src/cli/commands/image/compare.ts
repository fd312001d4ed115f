import {
  compareConfigs,
  compareTrees,
  type ConfigChange,
  type FileChange,
} from '../../../explain/compare.ts';
import type { Cli } from '../../cli.ts';
import { ProcessExit } from '../../failure.ts';
import { parseImageSpec } from '../../parse/image-path.ts';
import { escape, escapeName } from '../../render/escape.ts';
import { json } from '../../render/json.ts';

export interface CompareOptions {
  readonly json?: boolean;
  readonly times?: boolean;
  readonly exitCode?: boolean;
}

/** `git diff`'s way to say that there is a difference. */
const DIFFERENT = 1;

/** Shows how the image `second` differs from `first`, either cut as `IMAGE@N`: files, then fields of the config. */
export async function compareImages(
  cli: Cli,
  first: string,
  second: string,
  options: CompareOptions,
): Promise<void> {
  const engine = await cli.engine();
  const [one, two] = [parseImageSpec(first), parseImageSpec(second)];
  const [before, after] = [await engine.image(one.image), await engine.image(two.image)];
  await using old = await engine.tree(one.image, { layers: one.layers });
  await using now = await engine.tree(two.image, { layers: two.layers });
  const most = Math.min(old.depth, now.depth);
  const at = before.layers.findIndex(({ diffId }, layer) => diffId !== after.layers[layer]?.diffId);
  const sharedLayers = at < 0 ? most : Math.min(at, most);
  const config = compareConfigs(before.config, after.config);
  const files: FileChange[] = [];
  let isDifferent = config.length > 0;
  for await (const change of compareTrees(old, now, { sharedLayers, signal: cli.signal })) {
    if (!options.times && change.what.every((what) => what === 'time') && change.kind === 'changed')
      continue;
    isDifferent = true;
    if (options.json) files.push(change);
    else await cli.out.line(fileLine(change));
  }
  if (options.json) await cli.out.write(json({ files: files.map(fileJson), config }));
  else for (const change of config) await cli.out.line(configLine(change));
  if (options.exitCode && isDifferent) throw new ProcessExit(DIFFERENT);
}

const LETTERS = { added: 'A', changed: 'C', deleted: 'D' } as const;

const fileLine = ({ kind, raw, what }: FileChange): string =>
  `${LETTERS[kind]} ${escapeName(raw)}${what.length > 0 ? ` (${what.join(', ')})` : ''}`;

const fileJson = ({ path, kind, type, what }: FileChange): object => ({ path, kind, type, what });

function configLine({ field, before, after }: ConfigChange): string {
  const shown = (value: unknown): string =>
    escape(typeof value === 'string' ? value : JSON.stringify(value));
  const name = `config: ${escape(field)}`;
  if (before === undefined) return `A ${name}: ${shown(after)}`;
  if (after === undefined) return `D ${name}: ${shown(before)}`;
  return `C ${name}: ${shown(before)} → ${shown(after)}`;
}

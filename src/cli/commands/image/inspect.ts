import type { Command } from 'commander';
import type { Cli } from '../../cli.ts';
import { forEachTarget } from '../../failure.ts';
import { examples } from '../../program.ts';
import { escapeText } from '../../render/escape.ts';
import { inspectImage } from '../../render/image/inspect.ts';
import { toJson } from '../../template/json.ts';
import type { Struct } from '../../template/value.ts';

interface Options {
  readonly format?: string;
}

export function inspect(command: Command, cli: Cli): void {
  command
    .argument('<image...>', 'names, digests or IDs of images')
    .option('-f, --format <template>', 'Go template, or json')
    .option('--json', 'JSON, which is the default here')
    .action((images: string[], options: Options) => show(cli, images, options));
  examples(
    command,
    ['mica image inspect redis', 'everything, in the shape of Engine API 1.45'],
    ["mica image inspect -f '{{json .RootFS.Layers}}' redis", 'diffIDs of the layers'],
    ["mica image inspect -f '{{.Id}} {{.Size}}' redis nginx", 'a line for each'],
    ["mica image inspect -f '{{range .Config.Env}}{{println .}}{{end}}' redis", 'its environment'],
  );
}

async function show(cli: Cli, images: string[], { format }: Options): Promise<void> {
  if (format && format !== 'json') return showFormatted(cli, images, format);
  const found: Struct[] = [];
  const failed = await forEachTarget(cli, images, async (image) => {
    found.push(await load(cli, image));
  }).catch((error: unknown) => ({ error }));
  await cli.out.line(format === 'json' ? toJson(found) : toJson(found, '    '));
  if (failed) throw failed.error;
}

async function showFormatted(cli: Cli, images: string[], format: string): Promise<void> {
  const { compileTemplate } = await import('../../template/template.ts');
  const template = compileTemplate(format);
  await forEachTarget(cli, images, async (image) => {
    const text = template(await load(cli, image));
    await cli.out.line(cli.out.isTTY ? escapeText(text) : text);
  });
}

async function load(cli: Cli, name: string): Promise<Struct> {
  const engine = await cli.engine();
  return inspectImage(await engine.image(name), await engine.graphDriver(name));
}

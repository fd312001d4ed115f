import { type Command, Option } from 'commander';
import { isCode } from '../../../errors.ts';
import type { Cli } from '../../cli.ts';
import { forEachTarget } from '../../failure.ts';
import { examples } from '../../program.ts';
import { escapeText } from '../../render/escape.ts';
import { inspectImage } from '../../render/image/inspect.ts';
import { toJson } from '../../template/json.ts';
import type { Struct } from '../../template/value.ts';

interface Options {
  readonly format?: string;
  readonly type?: Kind;
  readonly size?: boolean;
}

/** Of a container. */
const SIZE = 'with the size of what it has written, and of its whole tree';

type Kind = 'container' | 'image';
type Load = (cli: Cli, name: string, options: Options) => Promise<Struct>;

/** Containers, and what is none of them as images; as docker does. */
export function inspectAny(command: Command, cli: Cli): void {
  command
    .argument('<name...>', 'names or IDs of containers or images')
    .option('-f, --format <template>', 'Go template, or json')
    .option('-s, --size', SIZE)
    .addOption(new Option('--type <type>', 'only these').choices(['container', 'image']))
    .option('--json', 'JSON, which is the default here')
    .action((names: string[], options: Options) =>
      show(
        cli,
        names,
        options,
        { container: loadContainer, image: load, any: loadAny }[options.type ?? 'any'],
      ),
    );
  examples(
    command,
    ['mica inspect web', 'a container, or an image of that name'],
    ["mica inspect -f '{{.State.Status}}' web", 'one fact'],
  );
}

export function inspectContainers(command: Command, cli: Cli): void {
  command
    .argument('<container...>', 'names or IDs of containers')
    .option('-f, --format <template>', 'Go template, or json')
    .option('-s, --size', SIZE)
    .option('--json', 'JSON, which is the default here')
    .action((names: string[], options: Options) => show(cli, names, options, loadContainer));
  examples(command, ['mica container inspect web', 'everything, in the shape of Engine API 1.45']);
}

export function inspect(command: Command, cli: Cli): void {
  command
    .argument('<image...>', 'names, digests or IDs of images')
    .option('-f, --format <template>', 'Go template, or json')
    .option('--json', 'JSON, which is the default here')
    .action((images: string[], options: Options) => show(cli, images, options, load));
  examples(
    command,
    ['mica image inspect redis', 'everything, in the shape of Engine API 1.45'],
    ["mica image inspect -f '{{json .RootFS.Layers}}' redis", 'diffIDs of the layers'],
    ["mica image inspect -f '{{.Id}} {{.Size}}' redis nginx", 'a line for each'],
    ["mica image inspect -f '{{range .Config.Env}}{{println .}}{{end}}' redis", 'its environment'],
  );
}

async function show(cli: Cli, images: string[], options: Options, find: Load): Promise<void> {
  const { format } = options;
  const findIt = (image: string): Promise<Struct> => find(cli, image, options);
  if (format && format !== 'json') return showFormatted(cli, images, format, findIt);
  const found: Struct[] = [];
  const failed = await forEachTarget(cli, images, async (image) => {
    found.push(await findIt(image));
  }).catch((error: unknown) => ({ error }));
  await cli.out.line(format === 'json' ? toJson(found) : toJson(found, '    '));
  if (failed) throw failed.error;
}

async function showFormatted(
  cli: Cli,
  images: string[],
  format: string,
  find: (image: string) => Promise<Struct>,
): Promise<void> {
  const { compileTemplate } = await import('../../template/template.ts');
  const template = compileTemplate(format);
  await forEachTarget(cli, images, async (image) => {
    const text = template(await find(image));
    await cli.out.line(cli.out.isTTY ? escapeText(text) : text);
  });
}

async function load(cli: Cli, name: string): Promise<Struct> {
  const engine = await cli.engine();
  return inspectImage(await engine.image(name), await engine.graphDriver(name));
}

async function loadContainer(cli: Cli, name: string, { size = false }: Options): Promise<Struct> {
  const { containers } = await cli.engine();
  const container = await containers.get(name);
  const { inspectContainer } = await import('../../render/container/inspect.ts');
  const [image, graphDriver] = [
    await containers.imageOf(container),
    await containers.graphDriver(container.id),
  ];
  const written = size ? (await containers.usage(container.id)).size : undefined;
  return inspectContainer(container, image, { graphDriver, written });
}

async function loadAny(cli: Cli, name: string, options: Options): Promise<Struct> {
  try {
    return await loadContainer(cli, name, options);
  } catch (error) {
    if (!isCode(error, 'NOT_FOUND') && !isCode(error, 'INVALID_ARGUMENT')) throw error;
    return await load(cli, name);
  }
}

import type { Command } from 'commander';
import type { Engine } from '../../../engine/engine.ts';
import type { StoredImage } from '../../../engine/stored-image.ts';
import type { Cli } from '../../cli.ts';
import { parseFilters, referenceFilter } from '../../parse/image-filter.ts';
import { examples } from '../../program.ts';
import { formatRows } from '../../render/format.ts';
import { IMAGE_HEADING, imageFields, imageRows } from '../../render/image/images.ts';
import { json } from '../../render/json.ts';
import { shortId } from '../../render/name.ts';
import { timeOf } from '../../render/quantity.ts';

interface Options {
  readonly all?: boolean;
  readonly quiet?: boolean;
  readonly trunc: boolean;
  readonly digests?: boolean;
  readonly filter: readonly string[];
  readonly format?: string;
  readonly json?: boolean;
}

export function images(command: Command, cli: Cli): void {
  command
    .argument(
      '[reference]',
      'only images of this repository, with this tag, or matching this pattern',
    )
    .option('-a, --all', "accepted for docker's sake: nothing is hidden")
    .option('-q, --quiet', 'IDs only')
    .option('--no-trunc', 'whole IDs')
    .option('--digests', 'with the digests they were pulled by')
    .option(
      '-f, --filter <key=value>',
      'reference=PATTERN, dangling=true, label=KEY[=VALUE], before=IMAGE, since=IMAGE, until=24h',
      (value: string, all: readonly string[]) => [...all, value],
      [],
    )
    .option('--format <template>', 'Go template for each line, "table TEMPLATE", or json')
    .option('--json', 'everything as JSON')
    .action((reference: string | undefined, options: Options) => list(cli, reference, options));
  examples(
    command,
    ['mica images', 'all images, newest first'],
    ["mica images --filter reference='*/team/*'", 'by name'],
    ['mica images -q --filter dangling=true', 'IDs of images that lost their name'],
    ["mica images --format 'table {{.Repository}}\\t{{.Size}}'", 'columns of your own'],
  );
}

async function list(cli: Cli, reference: string | undefined, options: Options): Promise<void> {
  const engine = await cli.engine();
  const found = await select(engine, reference, options.filter);
  if (options.json) return cli.out.write(json(found.map(asJson)));
  if (options.quiet) {
    const ids = found.flatMap((image) => imageRows(image, false).map(() => image.id));
    const shown = ids.map((id) => (options.trunc ? shortId(id) : id));
    return cli.out.write(shown.map((id) => `${id}\n`).join(''));
  }
  const format = options.format ?? 'table';
  const digests = options.digests === true || format.includes('.Digest');
  const rows = found.flatMap((image) => imageRows(image, digests));
  return cli.out.write(
    formatRows({
      format: format === 'table' ? tableOf(options) : format,
      rows: rows.map((row) => imageFields(row, options.trunc)),
      heading: IMAGE_HEADING,
      terminal: cli.out.isTTY,
    }),
  );
}

const tableOf = ({ digests }: Options): string =>
  `table {{.Repository}}\t{{.Tag}}\t${digests ? '{{.Digest}}\t' : ''}{{.ID}}\t{{.CreatedSince}}\t{{.Size}}`;

async function select(
  engine: Engine,
  reference: string | undefined,
  filters: readonly string[],
): Promise<StoredImage[]> {
  const passes = await parseFilters(filters, (name) => engine.image(name));
  const named = reference === undefined ? () => true : referenceFilter(reference);
  const all = (await engine.images()).filter((image) => passes(image) && named(image));
  const time = ({ config }: StoredImage): number => timeOf(config.created).getTime();
  return all.toSorted((a, b) => time(b) - time(a));
}

const asJson = ({
  id,
  references,
  repoDigests,
  config,
  size,
  layers,
  pulledAt,
}: StoredImage): object => ({
  id,
  references,
  repoDigests,
  created: config.created ?? null,
  os: config.os,
  architecture: config.architecture,
  variant: config.variant ?? null,
  size,
  layers: layers.length,
  pulledAt,
});

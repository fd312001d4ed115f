import type { Command } from 'commander';
import { VERSION } from '../../../engine/version.ts';
import type { Cli } from '../../cli.ts';
import { examples } from '../../program.ts';
import { json } from '../../render/json.ts';

/** Of the Docker Engine whose JSON `inspect` has. */
const API_VERSION = '1.45';

interface Options {
  readonly format?: string;
  readonly json?: boolean;
}

export function version(command: Command, cli: Cli): void {
  command
    .option('-f, --format <template>', 'Go template, or json')
    .option('--json', 'everything as JSON')
    .action((options: Options) => show(cli, options));
  examples(
    command,
    ['mica version', 'of Mica, and of what it runs on'],
    ["mica version --format '{{.Version}}'", 'only that'],
  );
}

async function show(cli: Cli, options: Options): Promise<void> {
  const facts = {
    Version: VERSION,
    ApiVersion: API_VERSION,
    NodeVersion: process.versions.node,
    Os: process.platform,
    Arch: process.arch,
  };
  if (options.json || options.format === 'json') return cli.out.write(json(facts));
  if (options.format === undefined)
    return cli.out.write(
      `mica ${VERSION}\nnode ${facts.NodeVersion} on ${facts.Os}/${facts.Arch}\ninspect prints the shape of Engine API ${API_VERSION}\n`,
    );
  const [{ compileTemplate }, { Struct }] = await Promise.all([
    import('../../template/template.ts'),
    import('../../template/value.ts'),
  ]);
  return cli.out.line(compileTemplate(options.format)(new Struct(facts)));
}

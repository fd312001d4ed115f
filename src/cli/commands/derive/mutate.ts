import type { Command } from 'commander';
import { MicaError } from '../../../errors.ts';
import { parsePlatform } from '../../../oci/platform.ts';
import type { Cli } from '../../cli.ts';
import { parseUntil } from '../../parse/duration.ts';
import { collect } from '../../parse/list.ts';
import { parsePairs } from '../../parse/pairs.ts';
import { examples } from '../../program.ts';
import { type DerivedOptions, derivedOptions, printDerived } from './derived.ts';

type Words = readonly string[];

interface Options extends DerivedOptions {
  readonly env?: Words;
  readonly label?: Words;
  readonly annotation?: Words;
  readonly entrypoint?: string;
  readonly cmd?: string;
  readonly user?: string;
  readonly workdir?: string;
  readonly stopSignal?: string;
  readonly expose?: Words;
  readonly volume?: Words;
  readonly author?: string;
  readonly created?: string;
  readonly platform?: string;
  readonly unset?: Words;
}

export function mutate(command: Command, cli: Cli): void {
  command
    .argument('<image>', 'name, digest or ID of an image')
    .option('-e, --env <name=value>', 'an environment variable', collect)
    .option('-l, --label <name=value>', 'a label', collect)
    .option('--annotation <name=value>', 'an annotation of the manifest', collect)
    .option('--entrypoint <command>', 'a JSON array, or one word; the old command goes')
    .option('--cmd <command>', 'a JSON array, or one word')
    .option('-u, --user <user>', 'name or number, also with a group: 33:33')
    .option('-w, --workdir <path>', 'where commands start')
    .option('--stop-signal <signal>', 'what asks containers to end')
    .option('--expose <port>', '80 or 53/udp', collect)
    .option('--volume <path>', 'a place for data of containers', collect)
    .option('--author <text>', 'who made the image')
    .option('--created <time>', 'RFC 3339, or seconds since 1970')
    .option('--platform <platform>', 'what the image says that it is for')
    .option('--unset <what>', 'takes away: cmd, user, …, env:NAME, label:NAME, …', collect);
  derivedOptions(command).action((image: string, options: Options) => run(cli, image, options));
  examples(
    command,
    ['mica mutate app -e MODE=prod --user 1000 -t app:prod', 'other defaults, the same layers'],
    [`mica mutate app --entrypoint '["/bin/app","-v"]' -t app:v`, 'another entry point'],
    ['mica mutate app --unset env:DEBUG --unset healthcheck -t app', 'without some of them'],
  );
}

async function run(cli: Cli, name: string, options: Options): Promise<void> {
  const { user, workdir, stopSignal, author, unset, platform, created } = options;
  const patch = {
    env: parsePairs('--env', options.env),
    labels: parsePairs('--label', options.label),
    annotations: parsePairs('--annotation', options.annotation),
    entrypoint: parseCommand('--entrypoint', options.entrypoint),
    cmd: parseCommand('--cmd', options.cmd),
    expose: options.expose?.map(parsePort),
    volumes: options.volume,
    createdAt: created === undefined ? undefined : parseUntil(created, '--created').toISOString(),
    platform: platform === undefined ? undefined : parsePlatform(platform),
    user,
    workdir,
    stopSignal,
    author,
    unset,
  };
  if (Object.values(patch).every((value) => value === undefined))
    throw new MicaError('INVALID_ARGUMENT', `mutate ${name}: say what to change, e.g. --env`);
  const engine = await cli.engine();
  const image = await engine.mutate(name, { ...patch, names: options.tag, signal: cli.signal });
  await printDerived(cli, image, options);
}

function parseCommand(option: string, text: string | undefined): string[] | undefined {
  if (text === undefined || !text.trimStart().startsWith('['))
    return text === undefined ? text : [text];
  try {
    const words: unknown = JSON.parse(text);
    if (Array.isArray(words) && words.every((word) => typeof word === 'string')) return words;
  } catch {
    // Told below.
  }
  throw new MicaError(
    'INVALID_ARGUMENT',
    `${option} ${JSON.stringify(text.slice(0, 200))}: not a JSON array of words`,
  );
}

function parsePort(text: string): string {
  const [, port = '', protocol = 'tcp'] = /^(\d{1,5})(?:\/(tcp|udp|sctp))?$/.exec(text) ?? [];
  if (port !== '' && Number(port) <= 65_535) return `${Number(port)}/${protocol}`;
  throw new MicaError(
    'INVALID_ARGUMENT',
    `--expose ${JSON.stringify(text.slice(0, 100))}: write a port, 80 or 53/udp`,
  );
}

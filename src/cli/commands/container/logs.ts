import type { Command } from 'commander';
import type { Cli } from '../../cli.ts';
import { integer } from '../../parse/container/numbers.ts';
import { parseUntil } from '../../parse/duration.ts';
import { examples } from '../../program.ts';

interface Options {
  readonly follow?: boolean;
  readonly since?: string;
  readonly until?: string;
  readonly tail: string;
  readonly timestamps?: boolean;
}

export function logs(command: Command, cli: Cli): void {
  command
    .argument('<container>', 'name or ID')
    .option('-f, --follow', 'go on until it ends')
    .option('--since <time>', 'only from then on: 2026-01-31T12:00:00Z, or 10m ago')
    .option('--until <time>', 'only until then')
    .option('-n, --tail <number>', 'only so many lines of what is there', 'all')
    .option('-t, --timestamps', 'when each line came')
    .action((name: string, options: Options) => show(cli, name, options));
  examples(
    command,
    ['mica logs -f --tail 20 web', 'the last 20 lines, and what comes'],
    ['mica logs --since 10m web', 'of the last ten minutes'],
  );
}

async function show(cli: Cli, name: string, options: Options): Promise<void> {
  const { containers } = await cli.engine();
  const query = {
    follow: options.follow,
    since: options.since === undefined ? undefined : parseUntil(options.since, '--since').getTime(),
    until: options.until === undefined ? undefined : parseUntil(options.until, '--until').getTime(),
    tail: tailOf(options.tail),
    signal: cli.signal,
  };
  for await (const { stream, text, time } of containers.logs(name, query))
    await (stream === 'stdout' ? cli.out : cli.err).write(
      options.timestamps ? `${time} ${text}` : text,
    );
}

/** As in docker, a number below zero is none. */
function tailOf(text: string): number | undefined {
  const count = text === 'all' ? -1 : integer('--tail', text);
  return count < 0 ? undefined : count;
}

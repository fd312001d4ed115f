import type { Command } from 'commander';
import type { Cli } from '../../cli.ts';
import { ProcessExit } from '../../failure.ts';
import { examples } from '../../program.ts';
import { requireTerminal, session, sizeOf } from './session.ts';

interface Options {
  readonly stdin: boolean;
  readonly detachKeys?: string;
  readonly sigProxy: boolean;
}

export function attach(command: Command, cli: Cli): void {
  command
    .argument('<container>', 'name or ID')
    .option('--no-stdin', 'do not hand it standard input')
    .option('--detach-keys <keys>', 'keys that leave the terminal; default ctrl-p,ctrl-q')
    .option('--no-sig-proxy', 'do not hand signals to the process')
    .action((name: string, options: Options) => run(cli, name, options));
  examples(command, ['mica attach shell', 'its terminal, here; ctrl-p ctrl-q leaves it']);
}

async function run(cli: Cli, name: string, options: Options): Promise<void> {
  const { containers } = await cli.engine();
  const { id, settings } = await containers.get(name);
  const tty = settings.options.tty === true;
  const stdin = options.stdin && settings.interactive === true;
  requireTerminal(cli, { tty, stdin });
  using attachment = await containers.attach(id);
  if (tty) {
    const { rows, columns } = sizeOf(cli);
    attachment.resize(rows, columns);
  }
  const onSignal = options.sigProxy
    ? (number: number): Promise<void> => containers.kill(id, number)
    : undefined;
  const talk = { tty, stdin, detachKeys: options.detachKeys, onSignal };
  const code = await session(cli, attachment, talk);
  if (code !== undefined && code !== 0) throw new ProcessExit(code);
}

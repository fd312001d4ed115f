import { type Command, Option } from 'commander';
import type { Containers } from '../../../engine/containers/containers.ts';
import { MicaError } from '../../../errors.ts';
import { signalNumber } from '../../../sys/process.ts';
import type { Cli } from '../../cli.ts';
import { forEachTarget } from '../../failure.ts';
import { integer } from '../../parse/container/numbers.ts';
import { examples } from '../../program.ts';
import { escape } from '../../render/escape.ts';

interface Options {
  readonly timeout?: string;
  readonly time?: string;
  readonly signal?: string;
}

export function stop(command: Command, cli: Cli): void {
  define(command, cli, (containers, name, options) => containers.stop(name, options));
  examples(
    command,
    ['mica stop web', 'SIGTERM, and SIGKILL after 10 seconds'],
    ['mica stop -t 60 db', 'gives it a minute'],
  );
}

export function restart(command: Command, cli: Cli): void {
  define(command, cli, async (containers, name, options) => {
    await containers.stop(name, options);
    (await containers.start(name))[Symbol.dispose]();
  });
  examples(command, ['mica restart web', 'stops it, if it runs, and starts it']);
}

type Task = (
  containers: Containers,
  name: string,
  options: Parameters<Containers['stop']>[1],
) => Promise<void>;

function define(command: Command, cli: Cli, task: Task): void {
  command
    .argument('<container...>', 'names or IDs')
    .option('-t, --timeout <seconds>', 'how long it may take until it is killed; -1: for ever')
    // docker's older name.
    .addOption(new Option('--time <seconds>').hideHelp())
    .option('-s, --signal <signal>', 'what is sent first')
    .action(async (names: string[], { time, timeout = time, signal }: Options) => {
      const { containers } = await cli.engine();
      const seconds = timeout === undefined ? undefined : integer('--timeout', timeout);
      const options = {
        grace: seconds === undefined ? undefined : Math.max(-1, seconds * 1000),
        number: signal === undefined ? undefined : numberOf(signal),
        signal: cli.signal,
      };
      await forEachTarget(cli, names, async (name) => {
        await task(containers, name, options);
        await cli.out.line(escape(name));
      });
    });
}

/** @throws INVALID_ARGUMENT */
export function numberOf(signal: string): number {
  const number = signalNumber(signal);
  if (number !== undefined) return number;
  throw new MicaError('INVALID_ARGUMENT', `${JSON.stringify(signal)} is no signal`);
}

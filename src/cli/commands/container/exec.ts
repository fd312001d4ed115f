import type { Command } from 'commander';
import { startMonitor } from '../../../runtime/monitor-process.ts';
import { needsUserNamespace } from '../../../sys/userns.ts';
import type { Cli } from '../../cli.ts';
import { ProcessExit } from '../../failure.ts';
import { fromHere, readLines } from '../../parse/container-flags.ts';
import { examples } from '../../program.ts';
import { startExit } from './run.ts';
import { requireTerminal, session, sizeOf } from './session.ts';

interface Options {
  readonly interactive?: boolean;
  readonly tty?: boolean;
  readonly detach?: boolean;
  readonly detachKeys?: string;
  readonly env: readonly string[];
  readonly envFile: readonly string[];
  readonly user?: string;
  readonly workdir?: string;
  readonly privileged?: boolean;
}

const list = (value: string, all: readonly string[]): readonly string[] => [...all, value];

export function exec(command: Command, cli: Cli): void {
  command
    .argument('<container>', 'name or ID')
    .argument('<command...>', 'and its arguments')
    .passThroughOptions()
    .option('-i, --interactive', 'hand it standard input')
    .option('-t, --tty', 'give it a terminal')
    .option('-d, --detach', 'in the background')
    .option('--detach-keys <keys>', 'keys that leave the terminal; default ctrl-p,ctrl-q')
    .option('-e, --env <name=value>', 'environment', list, [])
    .option('--env-file <file>', 'environment from a file, a line each', list, [])
    .option('-u, --user <user>', 'NAME, UID, NAME:GROUP or UID:GID')
    .option('-w, --workdir <path>', 'working directory in the container')
    .option('--privileged', 'all capabilities')
    .action(async (name: string, words: string[], options: Options) => {
      using monitor = needsUserNamespace() ? undefined : startMonitor(cli.monitor);
      await execute(cli, name, words, { ...options, monitor });
    });
  examples(
    command,
    ['mica exec -it web sh', 'a shell in a running container'],
    ['mica exec -u postgres db psql -l', 'as another user'],
  );
}

async function execute(
  cli: Cli,
  name: string,
  words: string[],
  options: Options & { readonly monitor: ReturnType<typeof startMonitor> | undefined },
): Promise<void> {
  const { tty = false, interactive = false, detach = false } = options;
  const talk = { tty, stdin: interactive, detachKeys: options.detachKeys };
  if (!detach) requireTerminal(cli, talk);
  const { containers } = await cli.engine();
  const env = [...options.envFile.flatMap(readLines), ...options.env].map(fromHere);
  let started;
  try {
    started = await containers.exec(name, {
      command: words,
      env: env.filter((entry) => entry !== undefined),
      user: options.user,
      workdir: options.workdir,
      privileged: options.privileged,
      tty,
      consoleSize: tty ? sizeOf(cli) : undefined,
      stdin: interactive && !detach,
      attach: !detach,
      monitor: options.monitor,
    });
  } catch (error) {
    throw startExit(error);
  }
  using attachment = started;
  if (detach) return;
  const code = await session(cli, attachment, talk);
  if (code !== undefined && code !== 0) throw new ProcessExit(code);
}

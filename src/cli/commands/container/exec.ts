import type { Command } from 'commander';
import { startMonitor } from '../../../runtime/monitor-process.ts';
import { needsUserNamespace } from '../../../sys/userns.ts';
import type { Cli } from '../../cli.ts';
import { ProcessExit } from '../../failure.ts';
import { environmentOf } from '../../parse/container/environment.ts';
import { type ProcessFlags, processFlags } from '../../parse/container/process-flags.ts';
import { examples } from '../../program.ts';
import { startExit } from './run.ts';
import { requireTerminal, session, sizeOf } from './session.ts';

interface Options extends ProcessFlags {
  readonly detach?: boolean;
  readonly detachKeys?: string;
}

export function exec(command: Command, cli: Cli): void {
  command.argument('<container>', 'name or ID').argument('<command...>', 'and its arguments');
  processFlags(command)
    .option('-d, --detach', 'in the background')
    .option('--detach-keys <keys>', 'keys that leave the terminal; default ctrl-p,ctrl-q')
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
  let started;
  try {
    started = await containers.exec(name, {
      command: words,
      env: environmentOf(options),
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

import type { Command } from 'commander';
import type { Cli } from '../../cli.ts';
import { MicaError } from '../../../errors.ts';
import { forEachTarget, ProcessExit } from '../../failure.ts';
import { escape } from '../../render/escape.ts';
import { examples } from '../../program.ts';
import { requireTerminal, session, sizeOf } from './session.ts';

interface Options {
  readonly attach?: boolean;
  readonly interactive?: boolean;
  readonly detachKeys?: string;
}

export function start(command: Command, cli: Cli): void {
  command
    .argument('<container...>', 'names or IDs')
    .option('-a, --attach', 'show its output, and end as it does')
    .option('-i, --interactive', 'hand it standard input, too')
    .option('--detach-keys <keys>', 'keys that leave the terminal; default ctrl-p,ctrl-q')
    .action((names: string[], options: Options) => run(cli, names, options));
  examples(
    command,
    ['mica start web', 'in the background'],
    ['mica start -ai shell', 'at this terminal'],
  );
}

async function run(cli: Cli, names: string[], options: Options): Promise<void> {
  const { containers } = await cli.engine();
  if (options.attach !== true && options.interactive !== true)
    return await forEachTarget(cli, names, async (name) => {
      const { state } = await containers.get(name);
      // As in docker, starting what runs does nothing.
      if (state.status === 'paused')
        throw new MicaError(
          'FAILED_PRECONDITION',
          `cannot start container ${name}: it is paused; \`mica unpause\` lets it go on`,
        );
      if (state.status !== 'running') (await containers.start(name))[Symbol.dispose]();
      await cli.out.line(escape(name));
    });
  const [name = '', ...more] = names;
  if (more.length > 0)
    throw new MicaError('INVALID_ARGUMENT', 'only one container can be attached to at a time');
  await startAttached(cli, name, options);
}

async function startAttached(cli: Cli, name: string, options: Options): Promise<void> {
  const { containers } = await cli.engine();
  const { id, settings } = await containers.get(name);
  const tty = settings.options.tty === true;
  const stdin = options.interactive === true && settings.interactive === true;
  requireTerminal(cli, { tty, stdin });
  using running = await containers.start(id, {
    attach: true,
    size: tty ? sizeOf(cli) : undefined,
  });
  const onSignal = (number: number): Promise<void> => containers.kill(id, number);
  const talk = { tty, stdin, detachKeys: options.detachKeys, onSignal };
  const code = await session(cli, running, talk);
  if (code === undefined) return;
  await running.settle();
  if (code !== 0) throw new ProcessExit(code);
}

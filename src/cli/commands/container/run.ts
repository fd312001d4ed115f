import type { Command } from 'commander';
import type { Engine } from '../../../engine/engine.ts';
import { MicaError } from '../../../errors.ts';
import { StartError } from '../../../runtime/failure.ts';
import { type MonitorProcess, startMonitor } from '../../../runtime/monitor-process.ts';
import { needsUserNamespace } from '../../../sys/userns.ts';
import type { Cli } from '../../cli.ts';
import { ProcessExit } from '../../failure.ts';
import { type ContainerFlags, containerFlags } from '../../parse/container/flags.ts';
import { examples } from '../../program.ts';
import { streamsOf } from '../../parse/container/streams.ts';
import { escapeText } from '../../render/escape.ts';
import { createContainer } from './create.ts';
import { requireTerminal, session, sizeOf } from './session.ts';

interface Options extends ContainerFlags {
  readonly detach?: boolean;
  readonly detachKeys?: string;
  readonly sigProxy: boolean;
}

export function run(command: Command, cli: Cli): void {
  containerFlags(command);
  command
    .option('-d, --detach', 'in the background; print its ID')
    .option('--detach-keys <keys>', 'keys that leave the terminal; default ctrl-p,ctrl-q')
    .option('--no-sig-proxy', 'do not hand signals to the process')
    .action(async (image: string, words: string[], options: Options) => {
      // It loads while everything else is being done. In a user namespace, from there.
      using monitor = needsUserNamespace() ? undefined : startMonitor(cli.monitor);
      await runContainer(cli, image, words, { ...options, monitor });
    });
  examples(
    command,
    ['mica run --rm -it debian bash', 'a shell, gone when it ends'],
    ['mica run -d --name web --network host httpd', 'in the background'],
    ['mica run --rm -v .:/src -w /src golang go build', 'on this directory'],
  );
}

type Request = Options & { readonly monitor: MonitorProcess | undefined };

async function runContainer(
  cli: Cli,
  image: string,
  words: string[],
  options: Request,
): Promise<void> {
  const tty = options.tty === true;
  const { detachKeys, detach = false } = options;
  let talk;
  let started;
  let engine: Engine;
  try {
    if (detach && options.attach.length > 0)
      throw new MicaError(
        'INVALID_ARGUMENT',
        '-d starts it in the background, and -a connects to it; give one of them',
      );
    talk = { tty, detachKeys, ...streamsOf(options) };
    if (!detach) requireTerminal(cli, talk);
    engine = await cli.engine();
    started = await begin(cli, engine, image, words, options);
  } catch (error) {
    throw startExit(error);
  }
  const { id, running } = started;
  using attachment = running;
  if (detach) return await cli.out.line(id);
  const onSignal = options.sigProxy
    ? (number: number): Promise<void> => engine.containers.kill(id, number)
    : undefined;
  const code = await session(cli, attachment, { ...talk, onSignal });
  // It runs on; who watches it does the rest.
  if (code === undefined) return;
  await running.settle();
  if (code !== 0) throw new ProcessExit(code);
}

async function begin(
  cli: Cli,
  engine: Engine,
  image: string,
  words: string[],
  options: Request,
): Promise<{ id: string; running: Awaited<ReturnType<Engine['containers']['start']>> }> {
  const { id, name } = await createContainer(cli, engine, image, words, options);
  try {
    const attach = options.detach !== true;
    const size = options.tty ? sizeOf(cli) : undefined;
    const { monitor } = options;
    return { id, running: await engine.containers.start(id, { monitor, attach, size }) };
  } catch (error) {
    if (options.rm) await removeAgain(cli, engine, name);
    throw error;
  }
}

/** What could not be started is gone like what has ended; why it was not is told by the caller. */
async function removeAgain(cli: Cli, engine: Engine, name: string): Promise<void> {
  try {
    await engine.containers.remove(name);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    await cli.err.line(escapeText(`mica: container ${name} is left: ${why}`));
  }
}

/** docker's exit codes: 125, 126, 127. */
export const startExit = (error: unknown): unknown =>
  error instanceof StartError ? new ProcessExit(error.exitCode, { cause: error }) : error;

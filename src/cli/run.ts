import { Cli, type Streams } from './cli.ts';
import { CommanderError } from 'commander';
import { MicaError } from '../errors.ts';
import { startsContainer } from './command-words.ts';
import { NOT_STARTED } from './exit-code.ts';
import { exitCodeOf, ProcessExit, report } from './failure.ts';
import { buildProgram } from './program.ts';
import { VERSION } from '../engine/version.ts';

/**
 * Runs one command line and resolves to its exit code, when the engine is closed and the output
 * handed over. Rejects never.
 * @param args without the program's name
 */
export async function run(
  args: readonly string[],
  streams: Streams,
  signal: AbortSignal,
): Promise<number> {
  const cli = new Cli(streams, signal);
  let code = await attempt(cli, () => dispatch(cli, args));
  const closed = await attempt(cli, () => cli[Symbol.asyncDispose]());
  code ||= closed;
  const flushed = await attempt(cli, () => cli.out.flush());
  return code || flushed;
}

async function dispatch(cli: Cli, args: readonly string[]): Promise<void> {
  const words = args.length === 0 ? ['--help'] : args;
  const program = buildProgram(cli, VERSION, words);
  try {
    await program.parseAsync([...words], { from: 'user' });
  } catch (error) {
    throw startsContainer(words) ? notStarted(error) : error;
  }
}

/** A command line that cannot be meant has kept a container from being started, as docker tells it. */
function notStarted(error: unknown): unknown {
  const isUsage = error instanceof CommanderError && error.exitCode !== 0;
  return isUsage || error instanceof MicaError
    ? new ProcessExit(NOT_STARTED, { cause: error })
    : error;
}

async function attempt(cli: Cli, task: () => Promise<void>): Promise<number> {
  try {
    await task();
    return 0;
  } catch (error) {
    // What failed because it was told to stop failed for the reason it was told to stop.
    // How a process in a container ended is the answer, also if the signal was for it.
    const isStopped = cli.signal.aborted && !(error instanceof ProcessExit);
    const reason: unknown = isStopped ? cli.signal.reason : error;
    await report(cli, reason).catch(() => undefined);
    return exitCodeOf(reason);
  }
}

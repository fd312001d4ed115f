import { Cli, type Streams } from './cli.ts';
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

/** docker's way to turn off what is on by default. */
const SPELLINGS: ReadonlyMap<string, string> = new Map([
  ['--human=false', '--no-human'],
  ['--human=true', '--human'],
]);

async function dispatch(cli: Cli, args: readonly string[]): Promise<void> {
  const words = args.length === 0 ? ['--help'] : args;
  const program = buildProgram(cli, VERSION, words);
  await program.parseAsync(
    words.map((word) => SPELLINGS.get(word) ?? word),
    { from: 'user' },
  );
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

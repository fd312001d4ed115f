import { CommanderError } from 'commander';
import { MicaError } from '../errors.ts';
import { fromNode } from '../sys/errno.ts';
import type { Cli } from './cli.ts';
import { EXIT_CODE, SIGNAL_CODE, USAGE } from './exit-code.ts';
import { Delegated } from './namespace.ts';
import { BrokenPipe } from './output.ts';
import { escapeText } from './render/escape.ts';

/** The user asked to stop, by this signal. */
export class Interrupted extends Error {
  override readonly name: string = 'Interrupted';
  readonly by: 'SIGHUP' | 'SIGINT' | 'SIGTERM';

  constructor(by: Interrupted['by']) {
    super(`stopped by ${by}`);
    this.by = by;
  }
}

/** Failures of some of a command's targets; each has been reported. */
export class PartialFailure extends Error {
  override readonly name: string = 'PartialFailure';
  readonly first: unknown;

  constructor(first: unknown) {
    super('some of it failed');
    this.first = first;
  }
}

/** A command that runs a process in a container ends as that does, or as docker says that it could not be run. */
export class ProcessExit extends Error {
  override readonly name: string = 'ProcessExit';
  readonly exitCode: number;

  /** @param options - `cause`: why it was not run, for the user */
  constructor(exitCode: number, options?: ErrorOptions) {
    super(`the process ended with ${exitCode}`, options);
    this.exitCode = exitCode;
  }
}

/** Does `task` for every target; a failure is reported and does not keep the others from their turn. */
export async function forEachTarget<T>(
  cli: Cli,
  targets: readonly T[],
  task: (target: T) => Promise<void>,
): Promise<void> {
  const failures: unknown[] = [];
  for (const target of targets) {
    try {
      await task(target);
    } catch (error) {
      cli.signal.throwIfAborted();
      failures.push(error);
      await report(cli, error);
    }
  }
  if (failures.length > 0) throw new PartialFailure(failures[0]);
}

export function exitCodeOf(thrown: unknown): number {
  const error = fromNode(thrown);
  if (error instanceof PartialFailure) return exitCodeOf(error.first);
  if (error instanceof Delegated || error instanceof ProcessExit) return error.exitCode;
  if (error instanceof SuppressedError) return exitCodeOf(error.error);
  if (error instanceof MicaError) return EXIT_CODE[error.code];
  if (error instanceof Interrupted) return SIGNAL_CODE[error.by];
  if (error instanceof BrokenPipe) return SIGNAL_CODE.SIGPIPE;
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : USAGE;
  return EXIT_CODE.INTERNAL;
}

/** Tells the user, unless he knows already. */
export async function report(cli: Cli, thrown: unknown): Promise<void> {
  const error = fromNode(thrown);
  if (error instanceof SuppressedError) return report(cli, error.error);
  if (error instanceof ProcessExit) {
    if (error.cause !== undefined) await report(cli, error.cause);
    return;
  }
  const known =
    error instanceof PartialFailure ||
    error instanceof Delegated ||
    error instanceof BrokenPipe ||
    error instanceof Interrupted ||
    error instanceof CommanderError;
  if (!known) await cli.err.line(`mica: ${escapeText(messageOf(error))}`);
  if (cli.options.debug && !(error instanceof CommanderError))
    await cli.err.line(escapeText(stackOf(error)));
}

function messageOf(error: unknown): string {
  if (error instanceof MicaError) return error.message;
  return `internal error: ${error instanceof Error ? error.message : String(error)} (--debug shows where)`;
}

function stackOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const stack = error.stack ?? error.message;
  return error.cause === undefined ? stack : `${stack}\ncaused by: ${stackOf(error.cause)}`;
}

import { setTimeout } from 'node:timers/promises';
import { MicaError } from '../errors.ts';
import { sendSignal as send } from '../sys/process.ts';
import type { Exit } from './attachment.ts';
import { waitForExit } from './attach.ts';
import { isFrozen, setFrozen } from './cgroup/freezer.ts';
import { type ContainerState, readState, type Running } from './state.ts';

const SIGKILL = 9;
const SIGTERM = 15;

/**
 * Sends a signal to the first process of the container of `directory`, its monitor alive or not.
 * @throws FAILED_PRECONDITION when it does not run
 */
export async function kill(directory: string, number: number = SIGKILL): Promise<void> {
  const running = runningOf(await readState(directory));
  if (running === undefined || !send(running.process, number))
    throw new MicaError('FAILED_PRECONDITION', 'the container is not running');
  // The frozen of v1 do not even die.
  if (number === SIGKILL && isFrozen(running.cgroups)) await setFrozen(running.cgroups, false);
}

/** A timer of Node that is to wait longer does not wait at all. In milliseconds. */
const LONGEST = 2 ** 31 - 1;

export interface StopOptions {
  /** Default: SIGTERM. */
  readonly signal?: number | undefined;
  /** How long it may take until it is killed, in milliseconds; -1, or more than 24 days: for ever. Default: 10,000. */
  readonly grace?: number | undefined;
  readonly abort?: AbortSignal | undefined;
}

/**
 * Ends the container of `directory`: by a signal it may obey, then by one it must.
 * @returns how it ended; `undefined` when it did not run, or nobody knows
 */
export async function stop(
  directory: string,
  options: StopOptions = {},
): Promise<Exit | undefined> {
  const { signal = SIGTERM, grace = 10_000, abort } = options;
  const running = runningOf(await readState(directory));
  if (running === undefined) return undefined;
  send(running.process, signal);
  if (isFrozen(running.cgroups)) await setFrozen(running.cgroups, false, abort);
  const [done, failed] = [new AbortController(), new AbortController()];
  const signals = abort === undefined ? [] : [abort];
  const either = AbortSignal.any([...signals, done.signal]);
  const late =
    grace < 0 || grace > LONGEST
      ? undefined
      : setTimeout(grace, undefined, { signal: either })
          .then(
            () => killUntil(running, either),
            () => undefined,
          )
          // Nothing would end it, then.
          .catch((error: unknown) => failed.abort(error));
  try {
    return await waitForExit(directory, AbortSignal.any([...signals, failed.signal]));
  } finally {
    done.abort();
    await late;
  }
}

/** Somebody may pause it at any moment, and the frozen of v1 do not even die. */
async function killUntil({ process, cgroups }: Running, ended: AbortSignal): Promise<void> {
  try {
    while (send(process, SIGKILL)) {
      if (isFrozen(cgroups)) await setFrozen(cgroups, false, ended);
      await setTimeout(500, undefined, { signal: ended });
    }
  } catch (error) {
    if (!ended.aborted) throw error;
  }
}

export async function pause(directory: string, abort?: AbortSignal): Promise<void> {
  const state = await readState(directory);
  if (state.status === 'paused')
    throw new MicaError('FAILED_PRECONDITION', 'the container is paused already');
  await setFrozen(cgroupsOfRunning(state), true, abort);
}

export async function unpause(directory: string, abort?: AbortSignal): Promise<void> {
  const state = await readState(directory);
  if (state.status !== 'paused')
    throw new MicaError('FAILED_PRECONDITION', 'the container is not paused');
  await setFrozen(state.cgroups, false, abort);
}

function cgroupsOfRunning(state: ContainerState): Running['cgroups'] {
  const running = runningOf(state);
  if (running !== undefined) return running.cgroups;
  throw new MicaError('FAILED_PRECONDITION', 'the container is not running');
}

/** What runs of a container, also of one that lost its monitor. */
export function runningOf(state: ContainerState): Running | undefined {
  if (state.status === 'running' || state.status === 'paused') return state;
  return state.status === 'dead' ? state.running : undefined;
}

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { bootId } from '../db/boot.ts';
import { isHeld } from '../sys/alive.ts';
import { fromNode } from '../sys/errno.ts';
import { isAlive, type ProcessIdentity } from '../sys/process.ts';
import { isCode } from '../errors.ts';
import type { Cgroups } from './cgroup/cgroup.ts';
import { isFrozen } from './cgroup/freezer.ts';

/** Files of a container's directory, which its monitor writes and everybody else reads. */
export const RUN_FILES = {
  /** The bundle's. */
  spec: 'config.json',
  state: 'state.json',
  /** Held by the monitor for as long as it lives. */
  lock: 'monitor.lock',
  socket: 'attach.sock',
  log: 'log.json',
} as const;

/** What the monitor wrote last. Times are RFC 3339. */
export type RunRecord =
  | { readonly status: 'starting'; readonly boot: string }
  | ({ readonly status: 'running'; readonly boot: string } & Running)
  | ({ readonly status: 'exited' } & Exited);

export interface Running {
  /** The container's first process. */
  readonly process: ProcessIdentity;
  readonly cgroups: Cgroups;
  readonly startedAt: string;
}

export interface Exited {
  /** 128 + the number of the signal that ended it; 125 to 127 when it did not even start. */
  readonly exitCode: number;
  readonly oomKilled: boolean;
  readonly startedAt?: string | undefined;
  readonly finishedAt: string;
  /** Why it did not start. */
  readonly error?: string | undefined;
  /** Bytes of output that found no room in the log. */
  readonly logLost?: number | undefined;
}

/**
 * How a container is. `dead`: it was left alone by its monitor, through a crash of either or of the
 * machine, and how it ended nobody knows; `running` then tells what still runs.
 */
export type ContainerState =
  | { readonly status: 'created' }
  | { readonly status: 'starting' }
  | ({ readonly status: 'running' | 'paused' } & Running)
  | ({ readonly status: 'exited' } & Exited)
  | { readonly status: 'dead'; readonly running?: Running };

/** How the container of `directory` is now. */
export async function readState(directory: string): Promise<ContainerState> {
  for (let attempt = 0; ; attempt++) {
    const record = readRecord(directory);
    if (record === undefined) return { status: isWatched(directory) ? 'starting' : 'created' };
    if (record.status === 'exited') return record;
    if (isWatched(directory)) {
      if (record.status === 'starting') return { status: 'starting' };
      return { ...record, status: isFrozen(record.cgroups) ? 'paused' : 'running' };
    }
    // The monitor may have ended between both looks, and then has written something newer.
    if (attempt > 0) return deadState(record);
    await setTimeout(0);
  }
}

export const isWatched = (directory: string): boolean => isHeld(join(directory, RUN_FILES.lock));

function deadState(record: Exclude<RunRecord, { status: 'exited' }>): ContainerState {
  const runs = record.status === 'running' && record.boot === bootId() && isAlive(record.process);
  return runs ? { status: 'dead', running: record } : { status: 'dead' };
}

function readRecord(directory: string): RunRecord | undefined {
  let text: string;
  try {
    text = readFileSync(join(directory, RUN_FILES.state), 'utf8');
  } catch (error) {
    const known = fromNode(error);
    if (isCode(known, 'NOT_FOUND')) return undefined;
    throw known;
  }
  try {
    return JSON.parse(text) as RunRecord;
  } catch {
    // Written without being synced, when the machine lost its power: of another boot, anyway.
    return { status: 'starting', boot: '' };
  }
}

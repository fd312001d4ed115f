import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { MicaError } from '../errors.ts';
import { holdWhenFree } from './alive.ts';
import { fromNode } from './errno.ts';
import { makeOwnDirectory } from './own-directory.ts';
import { identify, isAlive } from './process.ts';
import { temporaryRuntime } from './temporary-runtime.ts';

/**
 * Running without root: one user namespace per user holds all mapped ids and all mounts. A pause
 * process keeps it; commands are executed again inside it, because a program with threads, as Node
 * is, cannot enter a user namespace itself.
 */

/** Whether owners and mounts need a user namespace first: on Linux, without root. */
export const needsUserNamespace = (): boolean =>
  process.platform === 'linux' && process.geteuid?.() !== 0;

/** Whether this process runs in a user namespace other than the machine's first. */
export function inUserNamespace(): boolean {
  if (process.platform !== 'linux') return false;
  try {
    return !/^\s*0\s+0\s+4294967295\s*$/.test(readFileSync('/proc/self/uid_map', 'latin1'));
  } catch {
    return false;
  }
}

export interface UserNamespaceOptions {
  /** Directory of this user's own for the pause process' id; default `/run/user/<uid>/mica`, else below `/tmp`. */
  readonly runtime?: string | undefined;
}

/**
 * Runs `argv` as root of this user's namespace, on this terminal, and waits for it.
 * @returns its exit status; 128 + the signal's number when a signal ended it
 * @throws FAILED_PRECONDITION when the machine gives this user no namespace or no subordinate ids
 */
export async function enterUserNamespace(
  argv: readonly string[],
  options: UserNamespaceOptions = {},
): Promise<number> {
  const pid = await pauseProcess(options.runtime ?? defaultRuntime());
  // Entering a mount namespace leaves the working directory behind: go there again by name.
  const shell = ['/bin/sh', '-c', 'cd "$0" && exec "$@"', process.cwd(), ...argv];
  const enter = ['--target', String(pid), '--user', '--mount', '--preserve-credentials', '--'];
  const child = spawn('nsenter', [...enter, ...shell], { stdio: 'inherit' });
  return await exitStatus(child);
}

/** The process that keeps this user's namespace, started when there is none. */
async function pauseProcess(runtime: string): Promise<number> {
  const file = join(runtime, 'pause');
  try {
    makeOwnDirectory(runtime);
    using _ = await holdWhenFree(join(runtime, 'lock'));
    const known = readPause(file);
    if (known !== undefined) return known;
    const pid = await startPause();
    writeFileSync(file, `${pid} ${identify(pid)?.started}\n`, { mode: 0o600 });
    return pid;
  } catch (error) {
    throw fromNode(error);
  }
}

/** Its id, if the recorded process still is the one that was started: ids are used again. */
function readPause(file: string): number | undefined {
  try {
    const [pid, started = ''] = readFileSync(file, 'latin1').trim().split(' ');
    return isAlive({ pid: Number(pid), started }) ? Number(pid) : undefined;
  } catch {
    return undefined;
  }
}

const PAUSE = 'echo ready && exec sleep infinity </dev/null >/dev/null 2>&1';

async function startPause(): Promise<number> {
  const flags = ['--user', '--map-root-user', '--map-auto', '--mount', '--propagation', 'slave'];
  const child = spawn('unshare', [...flags, '--', '/bin/sh', '-c', PAUSE], {
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const [said, complaint] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    started(child),
  ]);
  if (said.trim() !== 'ready' || child.pid === undefined)
    throw new MicaError(
      'FAILED_PRECONDITION',
      `create a user namespace: ${complaint.trim() || 'unshare failed'}; this user needs subordinate ids (usermod --add-subuids 100000-165535 --add-subgids 100000-165535 NAME), the programs newuidmap and newgidmap (package uidmap) and util-linux 2.38; storage driver tar works without`,
    );
  child.unref();
  return child.pid;
}

const started = (child: ChildProcess): Promise<void> =>
  new Promise((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', reject);
  });

function exitStatus(child: ChildProcess): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const forward = (signal: NodeJS.Signals): boolean => child.kill(signal);
  for (const signal of FORWARDED) process.on(signal, forward);
  child.once('error', (error) => reject(fromNode(error)));
  child.once('exit', (code, signal) => resolve(code ?? 128 + constants.signals[signal!]));
  return promise.finally(() => {
    for (const signal of FORWARDED) process.off(signal, forward);
  });
}

const FORWARDED: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];

function defaultRuntime(): string {
  const uid = process.geteuid?.() ?? 0;
  try {
    if (statSync(`/run/user/${uid}`).uid === uid) return `/run/user/${uid}/mica`;
  } catch {}
  return temporaryRuntime();
}

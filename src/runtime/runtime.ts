import { closeSync, existsSync, openSync, readFileSync, rmSync } from 'node:fs';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { endingOf } from '../sys/children.ts';
import { withCovered } from '../sys/mount-namespace.ts';
import { makeOwnDirectory } from '../sys/own-directory.ts';
import { spawnProgram } from '../sys/spawn.ts';
import { removeCgroups } from './cgroup/cgroup.ts';
import { startError } from './failure.ts';
import type { RuntimeChoice } from './find.ts';

/**
 * Calls an OCI runtime. Who does becomes, being a subreaper, the parent of what is started. To be
 * used by monitor processes only: on some machines a call moves the main thread between namespaces.
 */
export interface Runtime {
  /**
   * Creates and starts the container of a bundle.
   * @param stdio descriptors for input, output and errors
   * @returns the number of its first process
   * @throws StartError
   */
  run(id: string, start: Start): Promise<number>;
  /**
   * Starts a process in a running container.
   * @param process file with its description
   */
  exec(id: string, process: string, start: Start): Promise<number>;
  /** Ends whatever is left of a container, its control groups too; harmless when nothing is. */
  delete(id: string, directory: string): Promise<void>;
  /** The same of one whose processes have ended. */
  forget(id: string, directory: string): Promise<void>;
}

export interface Start {
  /** Of the container: its bundle, and room for files of the call. */
  readonly directory: string;
  readonly stdio: readonly [number, number, number];
  /** Of the terminal that the process gets instead. */
  readonly terminal?: Terminal | undefined;
}

export interface Terminal {
  /** Is sent the terminal. */
  readonly socket: string;
  /** Called when it was, and before the first process runs if the runtime can wait for that. */
  arrived(): void;
}

export function runtimeOf(choice: RuntimeChoice): Runtime {
  return {
    async run(id, start) {
      const [what, bundle] = [`start container ${id}`, ['--bundle', start.directory, id]];
      if (start.terminal === undefined)
        return await begin(choice, start, { what, args: ['run', '--detach'], rest: bundle });
      // In two steps: a program that asks at once shall find its terminal in the right size.
      const pid = await begin(choice, start, { what, args: ['create'], rest: bundle });
      start.terminal.arrived();
      await call(choice, { directory: start.directory, what }, ['start', id]);
      return pid;
    },
    async exec(id, process, start) {
      const command = { args: ['exec', '--detach'], rest: ['--process', process, id] };
      const pid = await begin(choice, start, { what: `exec in container ${id}`, ...command });
      start.terminal?.arrived();
      return pid;
    },
    async delete(id, directory) {
      const isThere = (): boolean => existsSync(join(choice.state, id));
      const command = { directory, what: `remove container ${id}` };
      try {
        if (isThere()) await call(choice, command, ['delete', '--force', id]);
      } catch (error) {
        // Otherwise another process, its monitor perhaps, was doing the same.
        if (isThere()) throw error;
      }
      removeCgroups(id);
    },
    async forget(id, directory) {
      // All that the known ones do then: specifications of ours have no hooks. It saves a process.
      if (!choice.leavesFilesOnly || !removeCgroups(id)) return await this.delete(id, directory);
      rmSync(join(choice.state, id), { recursive: true, force: true });
    },
  };
}

interface Command {
  readonly what: string;
  readonly args: readonly string[];
  readonly rest: readonly string[];
}

async function begin(
  choice: RuntimeChoice,
  { directory, stdio, terminal }: Start,
  { what, args, rest }: Command,
): Promise<number> {
  const pidFile = temporary(directory, 'pid');
  const console = terminal === undefined ? [] : ['--console-socket', terminal.socket];
  try {
    const flags = [...args, '--pid-file', pidFile, ...console, ...rest];
    await call(choice, { directory, stdio, what }, flags);
    return Number(readFileSync(pidFile, 'latin1'));
  } finally {
    rmSync(pidFile, { force: true });
  }
}

interface Call {
  readonly directory: string;
  readonly stdio?: readonly [number, number, number];
  readonly what: string;
}

async function call(
  choice: RuntimeChoice,
  { directory, stdio, what }: Call,
  args: readonly string[],
): Promise<void> {
  const log = temporary(directory, 'log');
  // Its files say what runs in a container.
  makeOwnDirectory(dirname(choice.state));
  makeOwnDirectory(choice.state);
  const parameters = [
    '--root',
    choice.state,
    ...choice.flags,
    '--log',
    `${choice.logPrefix}${log}`,
    '--log-format',
    'json',
    ...args,
  ];
  const nothing = openSync('/dev/null', 'r+');
  const start = (): number =>
    spawnProgram({
      path: choice.program,
      args: parameters,
      fds: stdio ?? [nothing, nothing, nothing],
      // Nothing of ours: NOTIFY_SOCKET, LISTEN_FDS and others change what a runtime does.
      env: { PATH: choice.searchPath },
    });
  try {
    const status = await exitOf(choice.refusesHybrid ? withoutUnified(start) : start());
    if (status !== '') throw startError(what, readLog(log), `${choice.program} ${status}`);
  } finally {
    closeSync(nothing);
    rmSync(log, { force: true });
  }
}

const withoutUnified = <T>(task: () => T): T => withCovered('/sys/fs/cgroup/unified', task);

/** @returns `''` for success */
async function exitOf(pid: number): Promise<string> {
  // A child that Node does not know of keeps no process alive, nor does a client that has left.
  const awake = setInterval(() => undefined, 2 ** 30);
  const ending = await endingOf(pid).finally(() => clearInterval(awake));
  if ('code' in ending) return ending.code === 0 ? '' : `ended with status ${ending.code}`;
  const [name] = Object.entries(constants.signals).find(([, at]) => at === ending.signal) ?? [];
  return `was ended by ${name ?? `signal ${ending.signal}`}`;
}

let temporaries = 0;

/** Of this process, one after the other. */
const temporary = (directory: string, kind: string): string =>
  join(directory, `.runtime-${kind}-${process.pid}-${temporaries++}`);

function readLog(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

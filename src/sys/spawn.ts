import { MicaError } from '../errors.ts';
import { addressOf } from './binding.ts';
import { toBytes } from './byte-string.ts';
import { checked, kernelError } from './errno.ts';
import { type Library, openLibrary } from './library.ts';

/**
 * Starting programs by posix_spawn(3). Node calls fork(2), which copies the tables of all memory that
 * this process has mapped, for 3 ms, and makes it copy every page that it writes to afterwards.
 */

export interface ProgramStart {
  /** Absolute. */
  readonly path: string;
  /** Without its name. */
  readonly args: readonly string[];
  /** All of its environment. */
  readonly env: Readonly<Record<string, string>>;
  /** Descriptors that become its 0, 1, 2 and so on, each greater than 2. Of others it gets none that Node has opened. */
  readonly fds: readonly number[];
  /** In a session of its own, so that it outlives the terminal. */
  readonly ownSession?: boolean;
}

/**
 * Starts a program, in the working directory of this process and the namespaces of this thread, with
 * no signal blocked or ignored.
 * @returns its number, for `endingOf`: Node knows nothing of it
 * @throws the kernel's error when it cannot be executed; RESOURCE_EXHAUSTED when there may be no more processes
 */
export function spawnProgram({ path, args, env, fds, ownSession }: ProgramStart): number {
  const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  const lists = [[path, ...args], variables];
  if (lists.flat().some((text) => text.includes('\0')))
    throw kernelError(EINVAL, 'posix_spawn', toBytes(path));
  const c = (library ??= openLibrary(null, SIGNATURES));
  const { room, argv, envp, name } = layOut(lists);
  const at = addressOf(room);
  const [attributes, actions, signals] = [at + ATTRIBUTES, at + ACTIONS, at + SIGNALS];
  const done = (errno: number): number => checked(-errno, 'posix_spawn', toBytes(path));
  done(c.posix_spawnattr_init(attributes));
  done(c.posix_spawn_file_actions_init(actions));
  try {
    // Still empty.
    done(c.posix_spawnattr_setsigmask(attributes, signals));
    // Not by sigfillset(3), which leaves out two of the C library's own: they would be ignored.
    room.fill(0xff, SIGNALS, POINTERS);
    done(c.posix_spawnattr_setsigdefault(attributes, signals));
    done(c.posix_spawnattr_setflags(attributes, SIGNALS_RESET | (ownSession ? SETSID : 0)));
    for (const [to, fd] of fds.entries()) done(c.posix_spawn_file_actions_adddup2(actions, fd, to));
    refuseLimit(c.posix_spawn(at, name, actions, attributes, argv, envp), path);
    return room.readInt32LE();
  } finally {
    c.posix_spawn_file_actions_destroy(actions);
    c.posix_spawnattr_destroy(attributes);
  }
}

/** What keeps a process from being started, and not a program from being found. */
function refuseLimit(errno: number, path: string): void {
  const advice = LIMITS[errno];
  if (advice === undefined) return void checked(-errno, 'posix_spawn', toBytes(path));
  const { message, cause } = kernelError(errno, 'posix_spawn', toBytes(path));
  throw new MicaError('RESOURCE_EXHAUSTED', `${message}; ${advice}`, { cause });
}

/** By errno: EAGAIN and ENOMEM. */
const LIMITS: Readonly<Record<number, string>> = {
  11: 'no more processes are allowed here: end some, or raise the limit (ulimit -u, TasksMax= of the unit, pids.max of the control group)',
  12: 'there is not enough memory for another process: free some, or raise the limit (ulimit -v, memory.max of the control group)',
};

const SIGNATURES = {
  posix_spawn: ['int', 6],
  posix_spawnattr_init: ['int', 1],
  posix_spawnattr_destroy: ['int', 1],
  posix_spawnattr_setflags: ['int', 2],
  posix_spawnattr_setsigmask: ['int', 2],
  posix_spawnattr_setsigdefault: ['int', 2],
  posix_spawn_file_actions_init: ['int', 1],
  posix_spawn_file_actions_destroy: ['int', 1],
  posix_spawn_file_actions_adddup2: ['int', 3],
} as const;
let library: Library<typeof SIGNATURES> | undefined;

const EINVAL = 22;
/** POSIX_SPAWN_SETSIGDEF and POSIX_SPAWN_SETSIGMASK. */
const SIGNALS_RESET = 0x04 | 0x08;
/** POSIX_SPAWN_SETSID. */
const SETSID = 0x80;

/** Where in the memory of a call things are, after the number of the process: with more room than glibc and musl use. */
const ATTRIBUTES = 16;
const ACTIONS = ATTRIBUTES + 512;
const SIGNALS = ACTIONS + 256;
const POINTERS = SIGNALS + 128;

/** Lists of strings as C has them, each pointers up to one that is 0. */
function layOut([words, variables]: readonly (readonly string[])[]): Layout {
  const pointers = [...words!, undefined, ...variables!, undefined];
  const texts = pointers.map((text) => Buffer.from(text === undefined ? '' : `${text}\0`));
  const start = POINTERS + pointers.length * 8;
  const room = Buffer.concat([Buffer.alloc(start), ...texts]);
  const base = addressOf(room);
  let at = start;
  for (const [index, { length }] of texts.entries()) {
    if (length > 0) room.writeBigUInt64LE(BigInt(base + at), POINTERS + index * 8);
    at += length;
  }
  const argv = base + POINTERS;
  return { room, name: base + start, argv, envp: argv + (words!.length + 1) * 8 };
}

interface Layout {
  readonly room: Buffer;
  /** Addresses in it. */
  readonly name: number;
  readonly argv: number;
  readonly envp: number;
}

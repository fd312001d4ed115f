import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { promisify } from 'node:util';
import { holdWhenFree } from '../../sys/alive.ts';
import { addressOf, syscall } from '../../sys/binding.ts';
import { checked } from '../../sys/errno.ts';
import { NR } from '../../sys/syscalls.ts';
import { zfsFuseReport } from '../need.ts';

const run = promisify(execFile);

/** How long the daemon may take to answer, in milliseconds. */
const START = 60_000;

let users = 0;
let running: Promise<AsyncDisposable> | undefined;

/**
 * What ZFS needs to run: nothing where the kernel has it, else zfs-fuse, of which a machine has one.
 * All users in this process share it, and other processes wait for their turn.
 */
export async function zfsDaemon(): Promise<AsyncDisposable> {
  if (existsSync('/dev/zfs')) return { async [Symbol.asyncDispose]() {} };
  users++;
  running ??= start();
  const daemon = running;
  await daemon;
  return {
    async [Symbol.asyncDispose]() {
      if (--users > 0) return;
      running = undefined;
      await (await daemon)[Symbol.asyncDispose]();
    },
  };
}

async function start(): Promise<AsyncDisposable> {
  await using undo = new AsyncDisposableStack();
  undo.use(await holdWhenFree(join(tmpdir(), 'mica-zfs-fuse.lock')));
  ignoreSync();
  // It ends with this process, however that ends.
  const program = import.meta.url.endsWith('.ts') ? './zfs-keeper.ts' : './zfs-keeper.js';
  const keeper = join(import.meta.dirname, program);
  const words = ['--pdeathsig', 'KILL', process.execPath, keeper, zfsFuseReport];
  const daemon = spawn('setpriv', words, { stdio: 'ignore' });
  // A test that is over must not wait for it.
  daemon.unref();
  undo.defer(() => stop(daemon));
  for (const until = performance.now() + START; !(await answers()); await setTimeout(20))
    if (performance.now() > until || daemon.exitCode !== null)
      throw new Error(`zfs-fuse does not answer (exit code ${daemon.exitCode})`);
  const all = undo.move();
  return { [Symbol.asyncDispose]: () => all.disposeAsync() };
}

async function stop(daemon: ChildProcess): Promise<void> {
  if (daemon.exitCode !== null || daemon.signalCode !== null) return;
  const ended = once(daemon, 'exit');
  // Or a process that has nothing else to do ends here, and leaves what it would have put away next.
  daemon.ref();
  daemon.kill('SIGTERM');
  await ended;
}

const answers = (): Promise<boolean> =>
  run('zfs', ['list', '-H']).then(
    () => true,
    () => false,
  );

const PR_SET_SECCOMP = 22;
const SECCOMP_MODE_FILTER = 2;
/** sync(2), by architecture. */
const SYNC = process.arch === 'arm64' ? 81 : 162;

/**
 * From now on sync(2) does nothing for this process and those that it starts: zfs-fuse calls it at every
 * unmount, and then waits until all that the whole machine has to write is written.
 * @see seccomp(2), linux/filter.h
 */
function ignoreSync(): void {
  const program = Buffer.alloc(4 * 8);
  const instructions = [
    // The number of the call; is it the one? If so it returns 0 in place of being made.
    [0x20, 0, 0, 0],
    [0x15, 0, 1, SYNC],
    [0x06, 0, 0, 0x0005_0000],
    [0x06, 0, 0, 0x7fff_0000],
  ] as const;
  for (const [n, [code, then, otherwise, value]] of instructions.entries()) {
    program.writeUInt16LE(code, n * 8);
    program.writeUInt8(then, n * 8 + 2);
    program.writeUInt8(otherwise, n * 8 + 3);
    program.writeUInt32LE(value, n * 8 + 4);
  }
  const filter = Buffer.alloc(16);
  filter.writeUInt16LE(instructions.length);
  filter.writeBigUInt64LE(BigInt(addressOf(program)), 8);
  const result = syscall(NR.prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, addressOf(filter));
  checked(result, 'seccomp', 'sync');
}

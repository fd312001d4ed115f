import { spawn } from 'node:child_process';
import { mkdtemp, mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import assert from 'node:assert/strict';
import { crashStride } from './need.ts';
import { unmount } from '../sys/mount/unmount.ts';
import { readMountinfo } from '../sys/mountinfo.ts';

const url = (path: string): string =>
  JSON.stringify(new URL(path + import.meta.url.slice(-3), import.meta.url).href);

/** Statements of a program that come before what it does: from now on it counts its steps. */
const preamble = (at: number): string => `
  import childProcess from 'node:child_process';
  import fs from 'node:fs';
  import { DatabaseSync, StatementSync } from 'node:sqlite';
  import { enableCompileCache, syncBuiltinESMExports } from 'node:module';
  import { foreignFunctions } from ${url('../sys/binding')};
  import { NR } from ${url('../sys/syscalls')};
  enableCompileCache();
  let steps = -Infinity;
  let [everywhere, inside] = [true, 0];
  const step = () => {
    if ((everywhere || inside > 0) && ++steps === ${at}) process.kill(process.pid, 'SIGKILL');
  };
  const counted = (holder, name, counts = () => true) => {
    const original = holder[name];
    holder[name] = function (...parameters) {
      if (counts(this, ...parameters)) step();
      return original.apply(this, parameters);
    };
  };
  // From now on steps count that are made in what is marked as interesting, and its begin and end.
  const interesting = (call) => {
    everywhere = false;
    return (...parameters) => {
      inside++;
      step();
      const end = () => {
        step();
        inside--;
      };
      const result = call(...parameters);
      if (typeof result?.finally === 'function') return result.finally(end);
      end();
      return result;
    };
  };
  const allInteresting = (object) =>
    new Proxy(object, {
      get(target, key) {
        const value = Reflect.get(target, key);
        return typeof value === 'function' ? interesting(value.bind(target)) : value;
      },
    });
  for (const name of ['mkdirSync', 'openSync', 'writeSync', 'writeFileSync', 'renameSync', 'rmSync', 'rmdirSync', 'symlinkSync'])
    counted(fs, name);
  for (const name of ['mkdir', 'rename', 'rm', 'unlink', 'writeFile']) counted(fs.promises, name);
  // Other programs that do the work, and calls that volumes and mounts are made and removed with.
  counted(childProcess.ChildProcess.prototype, 'spawn');
  for (const name of ['spawnSync', 'execFileSync']) counted(childProcess, name);
  if (process.platform === 'linux') {
    const koffi = foreignFunctions();
    const changing = new Set([NR.ioctl, NR.mount, NR.move_mount, NR.umount2]);
    const { load } = koffi;
    koffi.load = (...parameters) => {
      const library = load(...parameters);
      return {
        func(name, ...rest) {
          const native = { call: library.func(name, ...rest) };
          const { async } = native.call;
          if (name === 'syscall') counted(native, 'call', (_, nr) => changing.has(nr));
          return Object.assign(native.call, { async });
        },
      };
    };
  }
  // Within a transaction all moments are one: nothing has happened before its commit.
  let within = false;
  counted(DatabaseSync.prototype, 'exec', (_, sql) => {
    if (/^(?:begin|commit|rollback)/.test(sql)) within = sql.startsWith('begin');
    return sql === 'commit';
  });
  const changes = ({ sourceSQL }) => !within && /^\\s*(?:insert|update|delete)/.test(sourceSQL);
  counted(StatementSync.prototype, 'run', changes);
  counted(StatementSync.prototype, 'get', changes);
  syncBuiltinESMExports();
  const beginCounting = () => { steps = 0; };
`;

export interface CrashTest {
  /**
   * The program's own statements; they call `beginCounting()` when it gets interesting. If not all of
   * it does, they wrap what does with `interesting(call)` and `allInteresting(object)`.
   */
  readonly program: (root: string) => string | Promise<string>;
  /** Where the roots are made; it goes with all that is in it. Default: directories of their own. */
  readonly directory?: string;
  /** What must hold after the program was killed, or ended. */
  readonly check: (root: string) => Promise<void>;
}

/** Programs that run at once: they mostly wait for starting. */
const PARALLEL = 4;

/**
 * Runs a program on an empty root again and again, killed (-9) before its first, second, … step
 * that touches files or the database, until one run ends by itself. Checks after each.
 * @returns how many steps there are, at most ({@link crashStride})
 */
export async function killAtEveryStep(test: CrashTest): Promise<number> {
  for (let first = 1; ; first += PARALLEL * crashStride) {
    const steps = Array.from({ length: PARALLEL }, (_, index) => first + index * crashStride);
    const killed = await Promise.all(steps.map((step) => killAt(step, test)));
    const ended = killed.indexOf(false);
    if (ended >= 0) return steps[ended]! - 1;
  }
}

async function killAt(step: number, { program, check, directory }: CrashTest): Promise<boolean> {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'mica-crash-'));
  const root = join(directory ? await mkdtemp(join(directory, 'crash-')) : dir.path, 'store');
  const source = preamble(step) + (await program(root));
  const child = spawn(process.execPath, ['--input-type=module', '-e', source], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const { promise, resolve } = Promise.withResolvers<string | number | null>();
  child.once('exit', (code, signal) => resolve(signal ?? code));
  const how = await promise;
  assert.ok(how === 'SIGKILL' || how === 0, `step ${step}: the program ended with ${how}`);
  try {
    await check(root);
  } catch (error) {
    throw new Error(`after being killed at step ${step}: ${String(error)}`, { cause: error });
  } finally {
    // Who is killed while he tries what works here leaves a mount; the directory could not go with it.
    for (const { target } of readMountinfo().reverse())
      if (target.startsWith(root)) unmount(target, { detach: true });
  }
  return how === 'SIGKILL';
}

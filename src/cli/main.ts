#!/usr/bin/env node
import { compiledDirectory } from '../code/directory.ts';
import { spawnMonitor } from '../runtime/spawn-monitor.ts';
import { runsProcess } from './command-words.ts';

/** For threads, and for the program when it runs from source. */
function cacheCompiledCode(): void {
  const directory = compiledDirectory();
  if (directory !== undefined)
    process.getBuiltinModule('node:module').enableCompileCache(directory);
}

async function main(): Promise<number> {
  const { stdout, execPath, execArgv, argv } = process;
  const args = argv.slice(2);
  // First of all, since it loads for as long as all the rest takes. Without root the command moves to a user namespace first.
  const monitor = process.geteuid?.() === 0 && runsProcess(args) ? earlyMonitor() : undefined;
  cacheCompiledCode();
  // Loaded after that line, and therefore from that cache.
  const [{ abortOnSignals }, { run }] = await Promise.all([
    import('./signals.ts'),
    import('./run.ts'),
  ]);
  const streams = {
    stdout,
    program: [execPath, ...execArgv, argv[1]!],
    monitor,
    // To be opened costs them more than most commands do, and few read or complain.
    get stdin() {
      return process.stdin;
    },
    get stderr() {
      return process.stderr;
    },
  };
  return await run(args, streams, abortOnSignals());
}

/** @returns `undefined` where none can be started: the command will find out why, and say so */
function earlyMonitor(): ReturnType<typeof spawnMonitor> | undefined {
  try {
    return spawnMonitor();
  } catch {
    return undefined;
  }
}

/** Of a process that ends before its work has: nothing is left that could go on with it. */
const STALLED = 13;

process.exitCode = STALLED;
void main().then((code) => {
  process.exitCode = code;
});

#!/usr/bin/env node
import { spawnMonitor } from '../runtime/spawn-monitor.ts';
import { runsProcess } from './command-words.ts';

/**
 * Compiled code is executed as it is found, so it is kept where only this user writes: not below
 * $TMPDIR, nor in the home directory of whoever called sudo.
 */
function cacheCompiledCode(): void {
  // Not imported: built, an import of Node's modules is one of the chunk that all commands share.
  const { enableCompileCache } = process.getBuiltinModule('node:module');
  const { userInfo } = process.getBuiltinModule('node:os');
  const path = process.getBuiltinModule('node:path');
  try {
    enableCompileCache(path.join(userInfo().homedir, '.cache', 'mica', 'compiled'));
  } catch {
    // A user without an entry in the password file has no home; it goes without a cache, too.
  }
}

cacheCompiledCode();
const { stdout, execPath, execArgv, argv } = process;
const args = argv.slice(2);
// First of all, since it loads for as long as all the rest takes. Without root the command moves to a user namespace first.
const monitor = process.geteuid?.() === 0 && runsProcess(args) ? spawnMonitor() : undefined;
// Loaded after the first line, and therefore from that cache.
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
process.exitCode = await run(args, streams, abortOnSignals());

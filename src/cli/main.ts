#!/usr/bin/env node
import { enableCompileCache } from 'node:module';
import { userInfo } from 'node:os';
import { join } from 'node:path';

/**
 * Compiled code is executed as it is found, so it is kept where only this user writes: not below
 * $TMPDIR, nor in the home directory of whoever called sudo.
 */
function cacheCompiledCode(): void {
  try {
    enableCompileCache(join(userInfo().homedir, '.cache', 'mica', 'compiled'));
  } catch {
    // A user without an entry in the password file has no home; it goes without a cache, too.
  }
}

cacheCompiledCode();
// Loaded after the line above, and therefore from that cache.
const [{ abortOnSignals }, { run }] = await Promise.all([
  import('./signals.ts'),
  import('./run.ts'),
]);
const { stdin, stdout, stderr, execPath, execArgv, argv } = process;
const program = [execPath, ...execArgv, argv[1]!];
process.exitCode = await run(argv.slice(2), { stdin, stdout, stderr, program }, abortOnSignals());

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Script } from 'node:vm';
import { compiledDirectory } from './directory.ts';
import { keep, readKept } from './kept.ts';

/** A program as it was built: files in one directory, each the text of a function of {@link Scope}. */
export interface Program {
  readonly directory: string;
  /** File that is loaded first. */
  readonly main: string;
  /** Changes with any of its files. */
  readonly build: string;
  /** What it is going to do, for which other code is needed than for something else; absent: nothing is kept. */
  readonly purpose?: string | undefined;
  /** Default: the user's own. */
  readonly cache?: string | undefined;
}

type Scope = (
  exports: object,
  require: (name: string) => unknown,
  module: { exports: object },
  moduleUrl: string,
) => void;

/**
 * Whoever works for long collects so much garbage that V8 forgets what was compiled for his start: it
 * is looked at before that, too. In milliseconds.
 */
const EARLY = 200;

/**
 * Runs a program, with code that was compiled when it last ran for the same purpose. Unlike Node's
 * own cache it has functions that were compiled when they were first called, too: most of them.
 * It is written when the program ends well, if more was loaded than it had.
 */
export function runProgram({ directory, main, build, purpose, cache }: Program): void {
  const home = cache ?? compiledDirectory();
  const kept =
    home === undefined || purpose === undefined || !/^[a-z_]+$/.test(purpose)
      ? undefined
      : join(home, `${build}-${process.version}-${process.arch}`, purpose);
  const known = kept === undefined ? new Map<string, Uint8Array>() : readKept(kept);
  const scripts = new Map<string, Script>();
  const modules = new Map<string, { exports: object }>();
  let grown = false;

  const load = (name: string): object => {
    const loaded = modules.get(name);
    if (loaded !== undefined) return loaded.exports;
    const module = { exports: {} };
    modules.set(name, module);
    const filename = join(directory, name);
    const cachedData = known.get(name);
    const script = new Script(readFileSync(filename, 'utf8'), { filename, cachedData });
    grown ||= cachedData === undefined || script.cachedDataRejected === true;
    scripts.set(name, script);
    const scope = script.runInThisContext() as Scope;
    scope(module.exports, require, module, pathToFileURL(filename).href);
    return module.exports;
  };
  const outside = createRequire(join(directory, main));
  const require = (name: string): unknown =>
    name.startsWith('./') ? load(name.slice(2)) : outside(name);

  const largest = new Map<string, Uint8Array>();
  const look = (): void => {
    for (const [name, script] of scripts) {
      const data = script.createCachedData();
      if (data.length > (largest.get(name)?.length ?? 0)) largest.set(name, data);
    }
  };
  if (kept !== undefined) setTimeout(() => grown && look(), EARLY).unref();
  process.once('exit', (code) => {
    // Who fails early has not done what the others are going to do.
    if (kept === undefined || !grown || code !== 0) return;
    look();
    keep(kept, new Map([...known, ...largest]));
  });
  load(main);
}

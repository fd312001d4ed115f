import { MicaError } from '../../errors.ts';
import { type Glob, parseGlob } from './glob.ts';

/** Which files of a build context are left out, or which of a copy (`--exclude`). */
export interface Ignore {
  /** @param path - clean, from the root, without a leading slash (byte string) */
  excludes(path: string): boolean;
  /** Something below a directory that is excluded may be wanted in spite of that. */
  readonly hasExceptions: boolean;
}

export const nothingIgnored: Ignore = { excludes: () => false, hasExceptions: false };

interface Rule {
  readonly glob: Glob;
  readonly isException: boolean;
}

/** More lines are not written by people. */
const MAX_RULES = 10_000;

/** Reads a `.dockerignore`. @throws INVALID_ARGUMENT with the line that is malformed */
export function parseIgnoreFile(bytes: Uint8Array, name: string): Ignore {
  const lines = new TextDecoder().decode(bytes).split(/\r?\n/);
  const patterns: string[] = [];
  for (const [at, text] of lines.entries()) {
    if (text.startsWith('#')) continue;
    const pattern = text.trim();
    if (pattern === '') continue;
    try {
      ruleOf(pattern);
    } catch (error) {
      throw new MicaError('INVALID_ARGUMENT', `${name}:${at + 1}: ${(error as Error).message}`, {
        cause: error,
      });
    }
    patterns.push(pattern);
  }
  return ignoring(patterns, name);
}

/**
 * The last pattern that matches a path, or a directory above it, decides; `!` takes back what
 * earlier ones excluded.
 */
export function ignoring(patterns: readonly string[], name: string): Ignore {
  if (patterns.length > MAX_RULES)
    throw new MicaError('INVALID_ARGUMENT', `${name} has more than ${MAX_RULES} patterns`);
  const rules = patterns.flatMap(ruleOf);
  if (rules.length === 0) return nothingIgnored;
  /** By directory: which rules match it or a directory above. Siblings ask for the same. */
  const known = new Map<string, readonly boolean[]>();
  const matched = (path: string): readonly boolean[] => {
    const cached = known.get(path);
    if (cached !== undefined) return cached;
    const slash = path.lastIndexOf('/');
    const above = slash < 0 ? undefined : matched(path.slice(0, slash));
    const found = rules.map(({ glob }, at) => above?.[at] === true || glob.matches(path));
    if (known.size > MAX_KNOWN) known.clear();
    known.set(path, found);
    return found;
  };
  return {
    excludes(path) {
      if (path === '') return false;
      const last = matched(path).lastIndexOf(true);
      return last >= 0 && !rules[last]!.isException;
    },
    hasExceptions: rules.some(({ isException }) => isException),
  };
}

/** Answers that are kept. */
const MAX_KNOWN = 4096;

function ruleOf(written: string): Rule[] {
  const isException = written.startsWith('!');
  const meant = isException ? written.slice(1).trim() : written;
  if (meant === '' && isException)
    throw new MicaError('INVALID_ARGUMENT', 'a ! is not followed by a pattern');
  const pattern = clean(meant);
  // The context itself, which no pattern takes out or back.
  if (pattern === '') return [];
  const bytes = Buffer.from(pattern, 'utf8').toString('latin1');
  return [{ glob: parseGlob(bytes, { deep: true }), isException }];
}

/** As Go's `filepath.Clean`, without slashes at either end; `..` above the root matches nothing. */
function clean(pattern: string): string {
  const names: string[] = [];
  for (const name of pattern.split('/')) {
    if (name === '' || name === '.') continue;
    if (name === '..' && names.length > 0 && names.at(-1) !== '..') names.pop();
    else names.push(name);
  }
  return names.join('/');
}

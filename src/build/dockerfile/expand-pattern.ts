import { MicaError } from '../../errors.ts';
import { Match, type Token } from '../pattern/glob.ts';

/** `${name#pattern}` and its relatives. */
export interface PatternExpansion {
  /** `#`, `%` or `/`. */
  readonly operator: string;
  /** Doubled: the longest match, or all of them. */
  readonly twice: boolean;
  readonly pattern: string;
  readonly replacement: string;
  readonly name: string;
}

export const isPatternOperator = (char: string): boolean =>
  char === '#' || char === '%' || char === '/';

/** Matching takes time by pattern and value; replacing, by the square of the value. */
const MAX_WORK = 1 << 27;

/** @param checkLength - told of the length of the result as it grows; it throws when that is too much */
export function applyPattern(
  expansion: PatternExpansion,
  value: string,
  checkLength: (length: number) => void,
): string {
  const { operator, twice, pattern, name } = expansion;
  const starts = operator === '/' ? value.length : 1;
  if (starts * value.length * pattern.length > MAX_WORK)
    throw new MicaError(
      'INVALID_ARGUMENT',
      `\${${name}${operator}…}: a value of ${value.length} characters is too long for a pattern of ${pattern.length}`,
    );
  const tokens = tokensOf(pattern);
  if (operator === '#') return value.slice(matchLength(tokens, value, twice) ?? 0);
  if (operator === '/') return replace(expansion, tokens, value, checkLength);
  const reversed = value.split('').reverse().join('');
  const length = matchLength(tokens.toReversed(), reversed, twice) ?? 0;
  return value.slice(0, value.length - length);
}

/** `*`, `?` and `\`, as shells have them here; a slash is a character like any other. */
function tokensOf(pattern: string): Token[] {
  const tokens: Token[] = [];
  for (let at = 0; at < pattern.length; at++) {
    const char = pattern[at]!;
    if (char === '*') tokens.push({ kind: 'all' });
    else if (char === '?') tokens.push({ kind: 'any' });
    else {
      if (char === '\\' && at + 1 < pattern.length) at++;
      tokens.push({ kind: 'char', code: pattern.charCodeAt(at) });
    }
  }
  return tokens;
}

/** How much of `text` matches from `start`, at least or at most; `undefined`: nothing does. */
function matchLength(
  tokens: readonly Token[],
  text: string,
  longest: boolean,
  start = 0,
): number | undefined {
  const match = new Match(tokens);
  let found: number | undefined;
  for (let at = start; ; at++) {
    if (match.isDone) found = at - start;
    if ((found !== undefined && !longest) || match.isDead || at === text.length) return found;
    match.step(text.charCodeAt(at));
  }
}

function replace(
  { twice, replacement }: PatternExpansion,
  tokens: readonly Token[],
  value: string,
  checkLength: (length: number) => void,
): string {
  let out = '';
  for (let at = 0; at <= value.length;) {
    const length = matchLength(tokens, value, true, at);
    // What may begin with anything, and does not match here, matches nowhere.
    if (length === undefined && tokens[0]?.kind === 'all') return out + value.slice(at);
    if (length === undefined || length === 0) {
      out += value[at] ?? '';
      at++;
      continue;
    }
    out += replacement;
    checkLength(out.length);
    at += length;
    if (!twice) return out + value.slice(at);
  }
  return out;
}

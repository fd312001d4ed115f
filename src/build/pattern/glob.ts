import { MicaError } from '../../errors.ts';

/**
 * Patterns of file names, as Go's `path.Match` and Docker's `.dockerignore` have them, on byte
 * strings: `*` and `?` (not a slash), `[a-z]`, `[^a-z]`, `\` before what is meant literally, and `**`
 * (also slashes) where that is wanted. Matching takes time proportional to pattern times name,
 * whatever the pattern: all ways to match are followed at once.
 */
export interface Glob {
  /** The whole of `text`. */
  matches(text: string): boolean;
}

export interface GlobOptions {
  /** `**` stands for any number of directories. Otherwise it is `*`. */
  readonly deep?: boolean;
}

/** One thing that a pattern wants. */
export type Token =
  | { readonly kind: 'char'; readonly code: number }
  /** Any one character but `/`. */
  | { readonly kind: 'one' }
  /** Any one character. */
  | { readonly kind: 'any' }
  | { readonly kind: 'class'; readonly negated: boolean; readonly ranges: readonly Range[] }
  /** Any number of any characters but `/`. */
  | { readonly kind: 'star' }
  /** Any number of any characters. */
  | { readonly kind: 'all' }
  /** Nothing, or anything that ends with `/`. */
  | { readonly kind: 'directories' };

type Range = readonly [from: number, to: number];

/** Longer than any path may be. */
const MAX_LENGTH = 4096;

/** @throws INVALID_ARGUMENT for a pattern that is malformed or too long */
export function parseGlob(pattern: string, options: GlobOptions = {}): Glob {
  const tokens = tokensOf(pattern, options);
  const plain = tokens.every(({ kind }) => kind === 'char') ? literal(tokens) : undefined;
  if (plain !== undefined) return { matches: (text) => text === plain };
  return { matches: (text) => new Match(tokens).whole(text) };
}

const literal = (tokens: readonly Token[]): string =>
  tokens.map((token) => (token.kind === 'char' ? String.fromCharCode(token.code) : '')).join('');

function tokensOf(pattern: string, { deep = false }: GlobOptions): Token[] {
  if (pattern.length > MAX_LENGTH) throw malformed(pattern, `is longer than ${MAX_LENGTH}`);
  const tokens: Token[] = [];
  for (let at = 0; at < pattern.length;) {
    const char = pattern[at]!;
    if (char === '*') {
      let end = at;
      while (pattern[end] === '*') end++;
      const isDeep = deep && end - at > 1;
      const slash = isDeep && pattern[end] === '/';
      tokens.push({ kind: slash ? 'directories' : isDeep ? 'all' : 'star' });
      at = slash ? end + 1 : end;
    } else if (char === '[') {
      const { token, next } = classAt(pattern, at);
      tokens.push(token);
      at = next;
    } else {
      if (char === '\\') at++;
      if (at >= pattern.length) throw malformed(pattern, 'ends with a backslash');
      tokens.push(char === '?' ? { kind: 'one' } : { kind: 'char', code: pattern.charCodeAt(at) });
      at++;
    }
  }
  return tokens;
}

function classAt(pattern: string, start: number): { readonly token: Token; readonly next: number } {
  let at = start + 1;
  const negated = pattern[at] === '^' || pattern[at] === '!';
  if (negated) at++;
  const ranges: Range[] = [];
  const char = (): number => {
    if (pattern[at] === '\\') at++;
    if (at >= pattern.length) throw malformed(pattern, 'has a [ without its ]');
    return pattern.charCodeAt(at++);
  };
  while (pattern[at] !== ']' || ranges.length === 0) {
    const from = char();
    if (pattern[at] !== '-' || pattern[at + 1] === ']') ranges.push([from, from]);
    else {
      at++;
      ranges.push([from, char()]);
    }
  }
  return { token: { kind: 'class', negated, ranges }, next: at + 1 };
}

const malformed = (pattern: string, why: string): MicaError =>
  new MicaError('INVALID_ARGUMENT', `the pattern ${JSON.stringify(pattern.slice(0, 100))} ${why}`);

const SLASH = 0x2f;

/** A walk through a pattern along all ways at once: the set of tokens that may come next. */
export class Match {
  readonly #tokens: readonly Token[];
  #states: number[] = [];
  /** What is in `#states` while it is filled: the number of the step. */
  readonly #entered: Uint32Array;
  #step = 1;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
    this.#entered = new Uint32Array(tokens.length + 1);
    this.#enter(0);
  }

  /** No way leads on. */
  get isDead(): boolean {
    return this.#states.length === 0;
  }

  /** What was read so far matches. */
  get isDone(): boolean {
    return this.#entered[this.#tokens.length] === this.#step;
  }

  step(code: number): void {
    const states = this.#states;
    this.#states = [];
    this.#step++;
    for (const state of states) {
      const token = this.#tokens[state];
      if (token === undefined) continue;
      if (token.kind === 'directories') {
        // Having begun, it ends with a slash only.
        this.#add(state);
        if (code === SLASH) this.#enter(state + 1);
      } else if (isRepeated(token)) {
        if (token.kind === 'all' || code !== SLASH) this.#enter(state);
      } else if (takes(token, code)) this.#enter(state + 1);
    }
  }

  whole(text: string): boolean {
    for (let at = 0; at < text.length && !this.isDead; at++) this.step(text.charCodeAt(at));
    return this.isDone;
  }

  #add(state: number): void {
    if (this.#entered[state] === this.#step) return;
    this.#entered[state] = this.#step;
    this.#states.push(state);
  }

  /** Adds a state, and those that are reached from it for nothing. */
  #enter(state: number): void {
    for (let at = state; ; at++) {
      this.#add(at);
      const token = this.#tokens[at];
      if (token === undefined || !isRepeated(token)) return;
    }
  }
}

const isRepeated = ({ kind }: Token): boolean =>
  kind === 'star' || kind === 'all' || kind === 'directories';

function takes(token: Token, code: number): boolean {
  if (token.kind === 'char') return token.code === code;
  if (token.kind === 'any') return true;
  if (code === SLASH) return false;
  if (token.kind !== 'class') return token.kind === 'one';
  return token.ranges.some(([from, to]) => from <= code && code <= to) !== token.negated;
}

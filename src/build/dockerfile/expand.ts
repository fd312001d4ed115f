import { MicaError } from '../../errors.ts';
import { applyPattern, isPatternOperator } from './expand-pattern.ts';

/** Looks a variable up; `undefined`: it is not set. */
export type Lookup = (name: string) => string | undefined;

export interface ExpandOptions {
  /** Takes the meaning from the next character. Default `\`. */
  readonly escape?: string | undefined;
  /** Text of a heredoc: quotes are characters like others, `\` is one unless `$` or `\` follows. */
  readonly isText?: boolean | undefined;
}

/** What a few lines could otherwise grow to by doubling. */
const MAX_LENGTH = 1 << 20;
/** `${a:-${b:-…}}` this deep is an attack on our stack. */
const MAX_DEPTH = 50;

/**
 * Replaces variables as a shell would, and takes quotes away: `$x`, `${x}`, `${x:-word}`,
 * `${x:+word}`, `${x:?word}` (each also without the colon), `${x#pattern}`, `##`, `%`, `%%`,
 * `${x/pattern/word}` and `//`.
 * @throws INVALID_ARGUMENT for what is malformed, or too long when replaced
 */
export function expand(word: string, lookup: Lookup, options: ExpandOptions = {}): string {
  if (!/[$"'\\`]/.test(word)) return word;
  return new Expander(word, lookup, options).run().text;
}

/** Like {@link expand}, and splits the result at white space that was not quoted. */
export const expandWords = (
  text: string,
  lookup: Lookup,
  options: ExpandOptions = {},
): string[] => [...new Expander(text, lookup, options).run().words];

const NAME = /[A-Za-z_][A-Za-z0-9_]*/y;
const SPECIAL = /[0-9@*#?!$-]/;

class Expander {
  readonly #text: string;
  readonly #lookup: Lookup;
  readonly #escape: string;
  readonly #isText: boolean;
  #at = 0;
  #depth = 0;
  /** Pieces of what has been read, and whether white space in them separates words. */
  readonly #pieces: { readonly text: string; readonly splits: boolean }[] = [];
  #length = 0;

  constructor(text: string, lookup: Lookup, { escape = '\\', isText = false }: ExpandOptions) {
    this.#text = text;
    this.#lookup = lookup;
    this.#escape = isText ? '\\' : escape;
    this.#isText = isText;
  }

  run(): { readonly text: string; readonly words: readonly string[] } {
    while (this.#at < this.#text.length) {
      const char = this.#text[this.#at]!;
      if (!this.#isText && char === "'") this.#add(this.#single(), false);
      else if (!this.#isText && char === '"') this.#add(this.#double(), false);
      else if (char === '$') this.#add(this.#variable(), true);
      else if (char === this.#escape) this.#add(this.#escaped(), false);
      else {
        this.#at++;
        this.#add(char, true);
      }
    }
    return { text: this.#pieces.map(({ text }) => text).join(''), words: this.#split() };
  }

  #add(text: string, splits: boolean): void {
    this.#length += text.length;
    checkLength(this.#length);
    this.#pieces.push({ text, splits });
  }

  #split(): string[] {
    const words: string[] = [];
    let word: string | undefined;
    for (const { text, splits } of this.#pieces) {
      const parts = splits ? text.split(/\s+/) : [text];
      for (const [at, part] of parts.entries()) {
        if (at > 0) {
          if (word !== undefined) words.push(word);
          word = undefined;
        }
        if (part !== '' || !splits) word = (word ?? '') + part;
      }
    }
    if (word !== undefined) words.push(word);
    return words;
  }

  /** `'…'`: everything is what it is. */
  #single(): string {
    const end = this.#text.indexOf("'", this.#at + 1);
    if (end < 0) throw malformed("a ' has no other that ends it");
    const inside = this.#text.slice(this.#at + 1, end);
    this.#at = end + 1;
    return inside;
  }

  /** `"…"`: variables count, and the escape before what it matters for. */
  #double(): string {
    let out = '';
    this.#at++;
    for (;;) {
      const char = this.#text[this.#at];
      if (char === undefined) throw malformed('a " has no other that ends it');
      if (char === '"') {
        this.#at++;
        return out;
      }
      if (char === '$') out += this.#variable();
      else if (char === this.#escape) {
        const next = this.#text[this.#at + 1] ?? '';
        const counts = next === '"' || next === '$' || next === this.#escape;
        out += counts ? next : char + next;
        this.#at += 2;
      } else {
        out += char;
        this.#at++;
      }
      checkLength(out.length);
    }
  }

  #escaped(): string {
    const next = this.#text[this.#at + 1];
    this.#at += 2;
    if (next === undefined) return this.#escape;
    const counts = !this.#isText || next === '$' || next === this.#escape;
    return counts ? next : this.#escape + next;
  }

  #variable(): string {
    this.#at++;
    const next = this.#text[this.#at] ?? '';
    if (next === '{') return this.#braced();
    const name = this.#name();
    if (name !== undefined) return this.#lookup(name) ?? '';
    const special = this.#special(next);
    return special === undefined ? '$' : (this.#lookup(special) ?? '');
  }

  #special(char: string): string | undefined {
    if (!SPECIAL.test(char)) return undefined;
    this.#at++;
    return char;
  }

  #name(): string | undefined {
    NAME.lastIndex = this.#at;
    const name = NAME.exec(this.#text)?.[0];
    this.#at += name?.length ?? 0;
    return name;
  }

  #braced(): string {
    this.#at++;
    const special = this.#text[this.#at] ?? '';
    const name = this.#name() ?? this.#special(special);
    if (name === undefined) throw malformed('${ is not followed by the name of a variable');
    const value = this.#lookup(name);
    const char = this.#text[this.#at];
    if (char === '}') {
      this.#at++;
      return value ?? '';
    }
    if (char !== undefined && isPatternOperator(char)) return this.#pattern(char, name, value);
    return this.#alternative(name, value);
  }

  #alternative(name: string, value: string | undefined): string {
    const colon = this.#text[this.#at] === ':';
    if (colon) this.#at++;
    const operator = this.#text[this.#at++] ?? '';
    if (!'-+?'.includes(operator) || operator === '')
      throw malformed(`\${${name} is followed by ${JSON.stringify(operator)}`);
    const word = this.#until('}', true);
    const isSet = value !== undefined && !(colon && value === '');
    if (operator === '-') return isSet ? value : word;
    if (operator === '+') return isSet ? word : '';
    if (isSet) return value;
    throw malformed(`\${${name}} is not set${word === '' ? '' : `: ${word}`}`);
  }

  #pattern(operator: string, name: string, value: string | undefined): string {
    this.#at++;
    const twice = this.#text[this.#at] === operator;
    if (twice) this.#at++;
    const pattern = this.#until(operator === '/' ? '/}' : '}', false);
    let replacement = '';
    if (operator === '/' && this.#text[this.#at - 1] === '/') replacement = this.#until('}', true);
    return applyPattern({ operator, twice, pattern, replacement, name }, value ?? '', checkLength);
  }

  /** Up to one of `ends`, which is taken, with variables replaced. */
  #until(ends: string, unescapes: boolean): string {
    if (++this.#depth > MAX_DEPTH)
      throw malformed(`variables are nested more than ${MAX_DEPTH} deep`);
    let out = '';
    for (;;) {
      const char = this.#text[this.#at];
      if (char === undefined) throw malformed('a ${ has no } that ends it');
      if (ends.includes(char)) {
        this.#at++;
        this.#depth--;
        return out;
      }
      if (char === '$') out += this.#variable();
      else if (char === "'" && !this.#isText) out += this.#single();
      else if (char === '"' && !this.#isText) out += this.#double();
      else if (char === this.#escape) {
        const next = this.#text[this.#at + 1] ?? '';
        out += unescapes || ends.includes(next) ? next : `\\${next}`;
        this.#at += 2;
      } else {
        out += char;
        this.#at++;
      }
      checkLength(out.length);
    }
  }
}

function checkLength(length: number): void {
  if (length > MAX_LENGTH)
    throw malformed(`with its variables replaced, it is longer than ${MAX_LENGTH} characters`);
}

const malformed = (why: string): MicaError => new MicaError('INVALID_ARGUMENT', why);

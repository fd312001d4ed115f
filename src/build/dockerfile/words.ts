/** Splits at white space, and nothing else. */
export const splitPlain = (text: string): string[] =>
  text.split(/\s+/).filter((word) => word !== '');

/** Splits at white space outside of quotes; quotes and escapes stay in the words. */
export function splitQuoted(text: string, escape: string): string[] {
  const words: string[] = [];
  let start = -1;
  let quote = '';
  for (let at = 0; at <= text.length; at++) {
    const char = text[at];
    if (char === undefined || (quote === '' && /\s/.test(char))) {
      if (start >= 0) words.push(text.slice(start, at));
      start = -1;
      continue;
    }
    if (start < 0) start = at;
    if (char === escape && quote !== "'") at++;
    else if (quote === '' && (char === '"' || char === "'")) quote = char;
    else if (char === quote) quote = '';
  }
  return words;
}

export interface Flag {
  readonly name: string;
  /** `undefined`: given without a value. */
  readonly value: string | undefined;
}

/** Takes the `--name=value` from the beginning of an instruction's arguments. */
export function splitFlags(
  text: string,
  escape: string,
): { readonly flags: readonly Flag[]; readonly rest: string } {
  const flags: Flag[] = [];
  let rest = text.trimStart();
  while (rest.startsWith('--')) {
    const [word = ''] = splitQuoted(rest.slice(0, endOfWord(rest, escape)), escape);
    rest = rest.slice(word.length).trimStart();
    if (word === '--') break;
    const plain = unquoted(word.slice(2), escape);
    const equals = plain.indexOf('=');
    flags.push(
      equals < 0
        ? { name: plain, value: undefined }
        : { name: plain.slice(0, equals), value: plain.slice(equals + 1) },
    );
  }
  return { flags, rest };
}

/** Where the first word ends, so that not all of a long text is split for each flag. */
function endOfWord(text: string, escape: string): number {
  let quote = '';
  for (let at = 0; at < text.length; at++) {
    const char = text[at]!;
    if (quote === '' && /\s/.test(char)) return at;
    if (char === escape && quote !== "'") at++;
    else if (quote === '' && (char === '"' || char === "'")) quote = char;
    else if (char === quote) quote = '';
  }
  return text.length;
}

/** Without its quotes; `$` and what follows it stay to be replaced later. */
function unquoted(word: string, escape: string): string {
  let out = '';
  let quote = '';
  for (let at = 0; at < word.length; at++) {
    const char = word[at]!;
    if (char === escape && quote !== "'" && at + 1 < word.length) {
      const next = word[++at]!;
      out +=
        next === '"' || next === "'" || next === escape || /\s/.test(next) ? next : char + next;
    } else if (quote === '' && (char === '"' || char === "'")) quote = char;
    else if (char === quote) quote = '';
    else out += char;
  }
  return out;
}

/**
 * The words of an instruction in its JSON form.
 * @returns `undefined` when it is in the other form · 'mixed' for a JSON list of other things
 */
export function parseJsonForm(text: string): readonly string[] | 'mixed' | undefined {
  if (!text.startsWith('[')) return undefined;
  let list: unknown;
  try {
    list = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!Array.isArray(list)) return undefined;
  return list.every((word): word is string => typeof word === 'string') ? list : 'mixed';
}

import { splitQuoted } from './words.ts';
/** Text that stands in the Dockerfile itself. */
export interface Heredoc {
  /** The word that ends it; for COPY and ADD the name of the file. */
  readonly name: string;
  /** As it stands there; of `<<-`, without leading tabs. */
  readonly content: string;
  /** Variables in it are replaced: the word was not quoted. */
  readonly expands: boolean;
}

export interface WantedHeredoc {
  readonly name: string;
  readonly stripsTabs: boolean;
  readonly expands: boolean;
}

/** Instructions that may have some; ONBUILD has what its instruction has. */
const BEARERS = /^(?:onbuild\s+)*(?:run|copy|add)\s/i;
const HEREDOC = /^\d*<<(-?)([^<\s].*)$/;

/** The heredocs that an instruction announces, in order. */
export function findHeredocs(text: string, escape: string): WantedHeredoc[] {
  if (!BEARERS.test(text) || !text.includes('<<')) return [];
  return splitQuoted(text, escape).flatMap((word) => {
    const [, dash, quoted] = HEREDOC.exec(word) ?? [];
    if (quoted === undefined) return [];
    const name = unquote(quoted, escape);
    if (!/^[^\s'"<>|&;()$`]+$/.test(name)) return [];
    return [{ name, stripsTabs: dash === '-', expands: name === quoted }];
  });
}

/** Whether a word of an instruction announces a heredoc. */
export const isHeredocWord = (word: string): boolean => HEREDOC.test(word);

/** @returns `undefined` when one of them does not end */
export function readHeredocs(
  lines: readonly string[],
  start: number,
  wanted: readonly WantedHeredoc[],
): { readonly heredocs: readonly Heredoc[]; readonly next: number } | undefined {
  const heredocs: Heredoc[] = [];
  let next = start;
  for (const { name, stripsTabs, expands } of wanted) {
    const content: string[] = [];
    for (; ; next++) {
      const line = lines[next];
      if (line === undefined) return undefined;
      const text = stripsTabs ? line.replace(/^\t+/, '') : line;
      if (text === name) break;
      content.push(`${text}\n`);
    }
    next++;
    heredocs.push({ name, content: content.join(''), expands });
  }
  return { heredocs, next };
}

const unquote = (word: string, escape: string): string =>
  word.replaceAll(/['"]/g, '').replaceAll(escape, '');

import { MicaError } from '../../errors.ts';
import { type Directives, parseDirectives } from './directives.ts';
import { wrong } from './failure.ts';
import { findHeredocs, type Heredoc, readHeredocs } from './heredoc.ts';

/** One instruction, with its continuation lines joined. */
export interface Logical {
  readonly text: string;
  /** Of its first line, from 1. */
  readonly line: number;
  readonly heredocs: readonly Heredoc[];
}

export interface Logicals {
  readonly directives: Directives;
  readonly lines: readonly Logical[];
}

/** More is not written by people. In bytes. */
const MAX_SIZE = 16 << 20;

/**
 * Splits a Dockerfile into instructions. Comments and empty lines are left out, also between
 * continued lines.
 * @param file - its name, for messages
 */
export function splitLines(bytes: Uint8Array, file: string): Logicals {
  if (bytes.byteLength > MAX_SIZE)
    throw new MicaError(
      'RESOURCE_EXHAUSTED',
      `${file} has ${bytes.byteLength} bytes; a Dockerfile may have ${MAX_SIZE}`,
    );
  // TextDecoder takes a byte order mark away.
  const physical = new TextDecoder().decode(bytes).split(/\r?\n/);
  const directives = parseDirectives(physical, file);
  const lines: Logical[] = [];
  for (let at = 0; at < physical.length;) {
    const joined = join(physical, at, directives.escape);
    const place = { file, line: at + 1 };
    at = joined.next;
    if (joined.text === '') continue;
    const wanted = findHeredocs(joined.text, directives.escape);
    const read = readHeredocs(physical, at, wanted);
    if (read === undefined)
      throw wrong(place, `no line ${wanted.map(({ name }) => name).join(', ')} ends the heredoc`);
    at = read.next;
    lines.push({ text: joined.text, line: place.line, heredocs: read.heredocs });
  }
  return { directives, lines };
}

const isComment = (text: string): boolean => /^\s*#/.test(text);

/** The instruction that begins at line `start`; '' when that is a comment or empty. */
function join(
  lines: readonly string[],
  start: number,
  escape: string,
): { readonly text: string; readonly next: number } {
  const first = lines[start]!;
  if (isComment(first)) return { text: '', next: start + 1 };
  const parts: string[] = [];
  let next = start;
  for (; next < lines.length; next++) {
    const text = parts.length === 0 ? lines[next]!.trimStart() : lines[next]!;
    if (parts.length > 0 && (isComment(text) || text.trim() === '')) continue;
    const continued = withoutContinuation(text, escape);
    parts.push(continued ?? text);
    if (continued === undefined) {
      next++;
      break;
    }
  }
  return { text: parts.join('').trim(), next };
}

/** @returns `undefined` when the line ends here. Two escapes are an escaped one, and continue nothing. */
function withoutContinuation(text: string, escape: string): string | undefined {
  const end = text.trimEnd();
  if (!end.endsWith(escape) || end.at(-2) === escape) return undefined;
  return end.slice(0, -1);
}

import { networkFailure } from '../failure.ts';

export interface Head {
  readonly status: number;
  /** Names in lower case; several values of one name joined by commas. */
  readonly headers: ReadonlyMap<string, string>;
  /** Whether the connection may serve another request afterwards. */
  readonly persistent: boolean;
}

/** In bytes; as much as everybody else allows, and then some. */
export const MAX_HEAD: number = 64 * 1024;

const STATUS = /^HTTP\/1\.([01]) ([1-5]\d\d)(?: [^\r\n]*)?$/;
const HEADER = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):(.*)$/;

/**
 * Reads the head of an answer, up to but without the empty line. Strict: what two readers could
 * understand differently is an error.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9112
 */
export function parseHead(text: string): Head {
  const [first = '', ...lines] = text.split('\r\n');
  const [, minor, status] = STATUS.exec(first) ?? [];
  if (status === undefined) throw networkFailure('HPE_INVALID_CONSTANT', 'the answer is not HTTP');
  const headers = new Map<string, string>();
  for (const line of lines) {
    const [, name = '', padded = ''] = HEADER.exec(line) ?? [];
    const value = unpadded(padded);
    if (name === '' || value.includes('\0'))
      throw networkFailure('HPE_INVALID_HEADER_TOKEN', 'a header of the answer is malformed');
    const key = name.toLowerCase();
    const known = headers.get(key);
    headers.set(key, known === undefined ? value : `${known}, ${value}`);
  }
  const tokens = new Set((headers.get('connection') ?? '').toLowerCase().split(',').map(unpadded));
  const persistent = minor === '1' ? !tokens.has('close') : tokens.has('keep-alive');
  return { status: Number(status), headers, persistent };
}

/**
 * Without the spaces and tabs around it. A pattern would go through a long run of them once for each
 * that it has, which takes 10 s for a head that is full of them.
 */
function unpadded(text: string): string {
  let [start, end] = [0, text.length];
  while (start < end && isBlank(text[start]!)) start++;
  while (end > start && isBlank(text[end - 1]!)) end--;
  return text.slice(start, end);
}

const isBlank = (character: string): boolean => character === ' ' || character === '\t';

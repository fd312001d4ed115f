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
const HEADER = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*$/;

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
    const [, name = '', value = ''] = HEADER.exec(line) ?? [];
    if (name === '' || value.includes('\0'))
      throw networkFailure('HPE_INVALID_HEADER_TOKEN', 'a header of the answer is malformed');
    const key = name.toLowerCase();
    const known = headers.get(key);
    headers.set(key, known === undefined ? value : `${known}, ${value}`);
  }
  const tokens = (headers.get('connection') ?? '').toLowerCase().split(/\s*,\s*/);
  const persistent = minor === '1' ? !tokens.includes('close') : tokens.includes('keep-alive');
  return { status: Number(status), headers, persistent };
}

/** A part of a blob: from `start` up to, not including, `end`. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

/**
 * The one range that a `Range` header asks for; `undefined` when the whole is to be sent (no
 * header, another unit, several ranges, nonsense), `'unsatisfiable'` when it lies outside.
 * @see https://www.rfc-editor.org/rfc/rfc9110.html#section-14.2
 */
export function parseRange(
  header: string | undefined,
  size: number,
): Range | 'unsatisfiable' | undefined {
  const match = /^bytes=\s*(\d*)-(\d*)\s*$/i.exec(header ?? '');
  if (!match || (match[1] === '' && match[2] === '')) return undefined;
  const [first, last] = [match[1]!, match[2]!];
  if (first === '') {
    const length = Math.min(Number(last), size);
    return length === 0 ? 'unsatisfiable' : { start: size - length, end: size };
  }
  const start = Number(first);
  if (last !== '' && Number(last) < start) return undefined;
  if (start >= size) return 'unsatisfiable';
  return { start, end: last === '' ? size : Math.min(Number(last) + 1, size) };
}

/** An upload's `Content-Range`, as this protocol spells it: `0-1023`, both ends inclusive. */
export function parseChunkRange(header: string): Range | undefined {
  const match = /^(?:bytes[ =])?(\d{1,15})-(\d{1,15})(?:\/(?:\d+|\*))?$/.exec(header.trim());
  if (!match) return undefined;
  const [start, end] = [Number(match[1]), Number(match[2]) + 1];
  return end > start ? { start, end } : undefined;
}

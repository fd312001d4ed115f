import type { Bytes } from './bytes.ts';

/** The same bytes; the first chunk exists and is at least `length` long, if there are as many. */
export async function* withStart(bytes: Bytes, length: number): Bytes {
  let start: Uint8Array | undefined = new Uint8Array();
  for await (const chunk of bytes) {
    if (start === undefined) yield chunk;
    else {
      start = start.length === 0 ? chunk : Buffer.concat([start, chunk]);
      if (start.length < length) continue;
      yield start;
      start = undefined;
    }
  }
  if (start !== undefined) yield start;
}

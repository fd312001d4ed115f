import { MicaError } from '../errors.ts';

/** Docker's. */
export const DEFAULT_DETACH_KEYS = 'ctrl-p,ctrl-q';

/** Looks for the keys with which a person leaves a terminal that runs on. */
export interface DetachKeys {
  /**
   * @returns what is input, without the keys if they were pressed. Keys that may be the first of
   * several are held back until the next.
   */
  push(chunk: Buffer): { readonly data: Buffer; readonly detached: boolean };
}

/**
 * @param keys letters or `ctrl-` with one of `a`–`z`, `@`, `[`, `\`, `]`, `^`, `_`, with commas
 * between; `''` for none
 * @throws INVALID_ARGUMENT
 */
export function detachKeys(keys: string = DEFAULT_DETACH_KEYS): DetachKeys {
  const sequence = Buffer.from(keys === '' ? [] : keys.split(',').map(byteOf));
  let matched = 0;
  return {
    push(chunk) {
      if (sequence.length === 0) return { data: chunk, detached: false };
      const out: number[] = [];
      for (const byte of chunk) {
        // The keys may begin anew within what was taken for their beginning.
        while (matched > 0 && byte !== sequence[matched]) {
          const held = sequence.subarray(0, matched);
          let drop = 1;
          while (
            drop < matched &&
            !held.subarray(drop).equals(sequence.subarray(0, matched - drop))
          )
            drop++;
          out.push(...held.subarray(0, drop));
          matched -= drop;
        }
        if (byte === sequence[matched]) matched++;
        else out.push(byte);
        if (matched === sequence.length) return { data: Buffer.from(out), detached: true };
      }
      return { data: Buffer.from(out), detached: false };
    },
  };
}

function byteOf(key: string): number {
  const control = /^ctrl-([a-z@[\\\]^_])$/i.exec(key)?.[1];
  if (control !== undefined) return control.toUpperCase().charCodeAt(0) & 0x1f;
  if (/^[\x20-\x7e]$/.test(key)) return key.charCodeAt(0);
  throw new MicaError(
    'INVALID_ARGUMENT',
    `detach key ${JSON.stringify(key)} is neither a letter nor ctrl- with one`,
  );
}

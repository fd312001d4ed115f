import type { Named } from './tree.ts';

/** What is not this needs no decoding. */
const BEYOND_ASCII = /[\u0080-\uffff]/;

/** Names inside are one UTF-16 unit per byte ("byte strings"); this is how they look to people. */
export const decode = (bytes: string): string =>
  BEYOND_ASCII.test(bytes) ? Buffer.from(bytes, 'latin1').toString('utf8') : bytes;

export const encode = (text: string | Uint8Array): string => {
  if (typeof text !== 'string')
    return Buffer.from(text.buffer, text.byteOffset, text.byteLength).toString('latin1');
  return BEYOND_ASCII.test(text) ? Buffer.from(text, 'utf8').toString('latin1') : text;
};

/** A path that is decoded only when somebody looks. */
export class Path implements Named {
  readonly bytes: string;

  /** @param bytes without the leading slash */
  constructor(bytes: string) {
    this.bytes = bytes;
  }

  get path(): string {
    return decode(`/${this.bytes}`);
  }

  get raw(): Uint8Array {
    return Buffer.from(`/${this.bytes}`, 'latin1');
  }
}

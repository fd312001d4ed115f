/**
 * Byte strings: names as the kernel and archives have them, one UTF-16 unit per byte ("latin1"),
 * so that nothing is re-encoded and `<` is byte order.
 */

/** Methods that every Buffer has and its types leave out; they skip the look-up of an encoding. */
interface Latin1 {
  latin1Slice(start?: number, end?: number): string;
  latin1Write(text: string, offset: number): number;
}

export const sliceBytes = (buffer: Buffer, start: number, end: number): string =>
  (buffer as unknown as Latin1).latin1Slice(start, end);

/** @returns bytes written */
export const writeBytes = (buffer: Buffer, text: string, offset: number): number =>
  (buffer as unknown as Latin1).latin1Write(text, offset);

/** Text (a path of this process' own world) as a byte string, in UTF-8. */
export const toBytes = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');

/** A byte string for people: read as UTF-8, control characters escaped. */
export const printable = (bytes: string): string =>
  Buffer.from(bytes, 'latin1').toString('utf8').replace(CONTROL, escaped);

const CONTROL = /[\p{Cc}\u2028-\u202e]/gu;

const escaped = (char: string): string => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`;

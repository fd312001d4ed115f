import { MicaError } from '../errors.ts';

const [SPACE, ZERO] = [0x20, 0x30];

/**
 * A number in a header: octal digits between spaces or NULs, or GNU's base 256 (first byte 0x80
 * and up). An empty field is 0.
 * @see https://www.gnu.org/software/tar/manual/html_node/Extensions.html
 */
export function parseNumber(bytes: Buffer, offset: number, length: number, what: string): number {
  if (bytes[offset]! & 0x80) return parseBase256(bytes, offset, length, what);
  let at = offset;
  const end = offset + length;
  while (at < end && (bytes[at] === SPACE || bytes[at] === 0)) at++;
  let value = 0;
  for (; at < end; at++) {
    const digit = bytes[at]! - ZERO;
    // What follows a space or NUL is padding that some writers leave dirty.
    if (digit === SPACE - ZERO || digit === -ZERO) break;
    if (digit < 0 || digit > 7) throw bad(what, 'is not an octal number');
    value = value * 8 + digit;
  }
  return value;
}

/** Two's complement; the highest bit of all only marks the format. */
function parseBase256(bytes: Buffer, offset: number, length: number, what: string): number {
  const negative = (bytes[offset]! & 0x40) !== 0;
  let value = BigInt(bytes[offset]! & 0x3f);
  for (let at = offset + 1; at < offset + length; at++) value = (value << 8n) | BigInt(bytes[at]!);
  if (negative) value -= 1n << BigInt(length * 8 - 2);
  const number = Number(value);
  if (!Number.isSafeInteger(number)) throw bad(what, 'is out of range');
  return number;
}

/** Decimal digits of an extended header, with an optional sign. */
export function parseDecimal(text: string, what: string): number {
  const value = /^-?\d{1,19}$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value)) throw bad(what, 'is not a number in range');
  return value;
}

/** Writes `value` as octal digits and a NUL; `false` when it does not fit. @param length - at most 12 */
export function writeOctal(bytes: Buffer, offset: number, length: number, value: number): boolean {
  if (value < 0 || value >= LIMITS[length]!) return false;
  let at = offset + length - 1;
  bytes[at] = 0;
  let rest = value;
  for (; rest > MAX_INTEGER; rest = Math.floor(rest / 8)) bytes[--at] = ZERO + (rest % 8);
  for (; at > offset; rest >>= 3) bytes[--at] = ZERO + (rest & 7);
  return true;
}

/** By the length of a field: what its digits can say no more. */
const LIMITS: readonly number[] = Array.from({ length: 13 }, (_, length) => 8 ** (length - 1));
const MAX_INTEGER = 2 ** 31 - 1;

export const bad = (what: string, why: string): MicaError =>
  new MicaError('INVALID_ARGUMENT', `tar: ${what} ${why}`);

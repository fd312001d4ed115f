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

/** Writes `value` as octal digits and a NUL; `false` when it does not fit. */
export function writeOctal(bytes: Buffer, offset: number, length: number, value: number): boolean {
  if (value < 0 || value >= 8 ** (length - 1)) return false;
  let rest = value;
  for (let at = offset + length - 2; at >= offset; at--) {
    const higher = Math.floor(rest / 8);
    bytes[at] = 0x30 + (rest - higher * 8);
    rest = higher;
  }
  bytes[offset + length - 1] = 0;
  return true;
}

export const bad = (what: string, why: string): MicaError =>
  new MicaError('INVALID_ARGUMENT', `tar: ${what} ${why}`);

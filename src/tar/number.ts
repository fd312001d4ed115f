import { MicaError } from '../errors.ts';

/**
 * Numbers in a header: octal digits, or GNU's base 256 (first byte 0x80 and up, two's complement).
 * @see https://www.gnu.org/software/tar/manual/html_node/Extensions.html
 */
export function parseNumber(block: Buffer, offset: number, length: number, what: string): number {
  if (block[offset]! & 0x80) return parseBase256(block, offset, length, what);
  let at = offset;
  let end = offset + length;
  while (at < end && (block[at] === 0x20 || block[at] === 0)) at++;
  while (end > at && (block[end - 1] === 0x20 || block[end - 1] === 0)) end--;
  let value = 0;
  for (; at < end; at++) {
    const digit = block[at]! - 0x30;
    // What follows a NUL is padding that some writers leave dirty.
    if (block[at] === 0) break;
    if (digit < 0 || digit > 7) throw bad(what, 'is not an octal number');
    value = value * 8 + digit;
  }
  if (value > Number.MAX_SAFE_INTEGER) throw bad(what, 'is too large');
  return value;
}

function parseBase256(block: Buffer, offset: number, length: number, what: string): number {
  const negative = (block[offset]! & 0x40) !== 0;
  let value = BigInt(block[offset]! & 0x3f);
  for (let at = offset + 1; at < offset + length; at++) value = (value << 8n) | BigInt(block[at]!);
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
export function writeOctal(block: Buffer, offset: number, length: number, value: number): boolean {
  if (value < 0 || value >= 8 ** (length - 1)) return false;
  block.write(value.toString(8).padStart(length - 1, '0'), offset, 'latin1');
  block[offset + length - 1] = 0;
  return true;
}

export const bad = (what: string, why: string): MicaError =>
  new MicaError('INVALID_ARGUMENT', `tar: ${what} ${why}`);

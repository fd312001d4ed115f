/**
 * Names without their case, as NTFS compares them: two are the same file if this is the same.
 *
 * Each UTF-16 unit by itself becomes the upper-case one, where there is exactly one that leads back
 * to it. So `ß`, `ı` and `ſ` stay what they are, as in the table that NTFS volumes are formatted with.
 */

const ASCII = /^[\u0000-\u007f]*$/; // oxlint-disable-line no-control-regex -- of bytes
const known = new Map<string, string>();

/** @param name - byte string; what is not UTF-8 is folded byte by byte */
export function foldName(name: string): string {
  if (ASCII.test(name)) return name.toUpperCase();
  const bytes = Buffer.from(name, 'latin1');
  const text = bytes.toString();
  if (text.includes('\ufffd')) return name.replace(/[a-z]/g, (letter) => letter.toUpperCase());
  let folded = '';
  for (let at = 0; at < text.length; at++) folded += foldUnit(text[at]!);
  return Buffer.from(folded).toString('latin1');
}

function foldUnit(unit: string): string {
  let folded = known.get(unit);
  if (folded === undefined) {
    const upper = unit.toUpperCase();
    folded = upper.length === 1 && upper.toLowerCase() === unit ? upper : unit;
    known.set(unit, folded);
  }
  return folded;
}

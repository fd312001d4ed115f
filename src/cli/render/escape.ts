/**
 * Controls of any kind, and what reorders text on a terminal. Names, labels and commands come from
 * images, which are hostile.
 */
const UNSAFE = /[\p{Cc}\p{Cs}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;
/** As above, but for the line breaks and tabs by which `--format` templates lay text out. */
const UNSAFE_IN_TEXT = /(?![\n\t])[\p{Cc}\p{Cs}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;

/** What nearly all names are. */
const PLAIN = /^[ -[\]-~]*$/;

const LETTERS: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** `text` on one line, with everything a terminal would obey spelled out as `ls -b` does: `\n`, `\033`. */
export const escape = (text: string): string => text.replace(UNSAFE, spell);

/** As {@link escape}, but line breaks and tabs stay. */
export const escapeText = (text: string): string => text.replace(UNSAFE_IN_TEXT, spell);

/** A file name, exactly and reversibly: also bytes that are not UTF-8 are spelled out, and `\` is doubled. */
export function escapeName(raw: Uint8Array): string {
  const text = Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength);
  const plain = text.toString('latin1');
  if (PLAIN.test(plain)) return plain;
  const decoded = text.toString('utf8');
  if (!decoded.includes('\ufffd')) return escape(decoded.replaceAll('\\', '\\\\'));
  return decodeParts(text);
}

/** Valid stretches as text, other bytes as octal. */
function decodeParts(bytes: Buffer): string {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  let result = '';
  for (let at = 0; at < bytes.length;) {
    const length = sequenceLength(bytes[at]!);
    try {
      result += escape(decoder.decode(bytes.subarray(at, at + length)).replaceAll('\\', '\\\\'));
      at += length;
    } catch {
      result += octal(bytes[at]!);
      at++;
    }
  }
  return result;
}

const sequenceLength = (first: number): number =>
  first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;

const octal = (byte: number): string => `\\${byte.toString(8).padStart(3, '0')}`;

function spell(char: string): string {
  const letter = LETTERS[char];
  if (letter) return letter;
  return Array.from(Buffer.from(char), octal).join('');
}

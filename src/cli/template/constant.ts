/** Go's constants as text: what they are worth, or `undefined` when they are not well formed. */
export function numberConstant(text: string): number | undefined {
  const magnitude = Number(text.replace(/^[+-]/, '').replaceAll('_', ''));
  if (Number.isNaN(magnitude)) return undefined;
  return text.startsWith('-') ? -magnitude : magnitude;
}

/** `'a'` is its code point. */
export function charConstant(text: string): number | undefined {
  const [char, ...more] = unescape(text.slice(1, -1), "'") ?? '';
  return more.length === 0 ? char?.codePointAt(0) : undefined;
}

export const quotedConstant = (text: string): string | undefined =>
  unescape(text.slice(1, -1), '"');

const SIMPLE: Readonly<Record<string, string>> = {
  a: '\u0007',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\\': '\\',
};
const ESCAPE = /\\(?:x([\da-fA-F]{2})|u([\da-fA-F]{4})|U([\da-fA-F]{8})|([0-7]{3})|(.))/gsu;

function unescape(text: string, quote: string): string | undefined {
  let valid = true;
  const value = text.replace(
    ESCAPE,
    (_, byte?: string, short?: string, long?: string, octal?: string, char?: string) => {
      if (char !== undefined) {
        const simple = char === quote ? quote : SIMPLE[char];
        valid &&= simple !== undefined;
        return simple ?? '';
      }
      const code = Number.parseInt((byte ?? short ?? long ?? octal)!, octal ? 8 : 16);
      valid &&= code <= 0x10ffff;
      return valid ? String.fromCodePoint(code) : '';
    },
  );
  return valid ? value : undefined;
}

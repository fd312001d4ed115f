import { jsonString } from './json.ts';
import { isList, isMap, print, printNumber, Struct, typeOf, type Value } from './value.ts';

interface Verb {
  readonly flags: string;
  readonly width: number;
  readonly precision: number | undefined;
  readonly letter: string;
}

const VERB = /%([-+# 0]*)(\*|\d+)?(?:\.(\*|\d+)?)?(.)?/gsu;
/** Wider fields are nobody's template. */
const MAX_WIDTH = 1000;

/**
 * Go's `Sprintf` for the verbs people use in templates: `%v %+v %s %q %d %x %X %o %b %c %t %e %f %g %%`.
 * @see https://pkg.go.dev/fmt@go1.24.4
 */
export function printf(format: string, ...values: Value[]): string {
  const queue = values.values();
  let used = 0;
  const take = (): { value: Value } | undefined => {
    const { value, done } = queue.next();
    if (done) return undefined;
    used++;
    return { value };
  };
  const number = (text: string | undefined): number | undefined =>
    text === '*' ? Number(take()?.value) : text === undefined ? undefined : Number(text);
  const text = format.replace(
    VERB,
    (all, flags: string, wide?: string, precise?: string, letter?: string) => {
      const width = Math.min(number(wide) ?? 0, MAX_WIDTH);
      const given = all.includes('.') && letter !== '.' ? (number(precise) ?? 0) : undefined;
      const [precision, complaint] = given! < 0 ? [undefined, '%!(BADPREC)'] : [given, ''];
      if (letter === undefined) return '%!(NOVERB)';
      if (letter === '%') return '%';
      const argument = take();
      if (!argument) return `%!${letter}(MISSING)`;
      return complaint + formatted({ flags, width, precision, letter }, argument.value);
    },
  );
  const extra = values.slice(used);
  if (extra.length === 0) return text;
  return `${text}%!(EXTRA ${extra.map((value) => `${typeName(value)}=${print(value)}`).join(', ')})`;
}

const typeName = (value: Value): string =>
  value === undefined || value === null ? '<nil>' : typeOf(value);

function pad(text: string, flags: string, width: number): string {
  const missing = width - Array.from(text).length;
  if (missing <= 0) return text;
  if (flags.includes('-')) return text + ' '.repeat(missing);
  if (flags.includes('0') && /^[+-]?[\d.]/.test(text)) {
    const sign = /^[+-]/.test(text) ? text[0]! : '';
    return sign + '0'.repeat(missing) + text.slice(sign.length);
  }
  return ' '.repeat(missing) + text;
}

/** A list is formatted item by item, and so are width and precision meant. */
function formatted(verb: Verb, value: Value): string {
  if (value !== undefined && isList(value))
    return `[${value.map((item) => formatted(verb, item)).join(' ')}]`;
  return pad(scalar(verb, value), verb.flags, verb.width);
}

function scalar(verb: Verb, value: Value): string {
  const { letter, flags } = verb;
  if (letter === 'v') return print(value, flags.includes('+'));
  if (letter === 'T') return typeName(value);
  if (typeof value === 'string') return stringVerb(verb, value) ?? bad(letter, value);
  if (typeof value === 'number') return numberVerb(verb, value) ?? bad(letter, value);
  if (letter === 't' && typeof value === 'boolean') return String(value);
  if (letter === 's' && (isMap(value) || value instanceof Struct)) return print(value);
  return bad(letter, value);
}

const bad = (letter: string, value: Value): string =>
  value === undefined || value === null
    ? `%!${letter}(<nil>)`
    : `%!${letter}(${typeOf(value)}=${print(value)})`;

function stringVerb({ letter, precision }: Verb, value: string): string | undefined {
  const text = precision === undefined ? value : Array.from(value).slice(0, precision).join('');
  if (letter === 's') return text;
  if (letter === 'q') return jsonString(text);
  if (letter === 'x') return Buffer.from(text).toString('hex');
  if (letter === 'X') return Buffer.from(text).toString('hex').toUpperCase();
  return undefined;
}

function numberVerb({ letter, flags, precision }: Verb, value: number): string | undefined {
  const text = Number.isInteger(value) ? integerVerb(letter, value) : undefined;
  const result = text ?? floatVerb(letter, value, precision);
  if (result === undefined) return undefined;
  return flags.includes('+') && value >= 0 ? `+${result}` : result;
}

function integerVerb(letter: string, value: number): string | undefined {
  switch (letter) {
    case 'd':
      return String(value);
    case 'x':
      return value.toString(16);
    case 'X':
      return value.toString(16).toUpperCase();
    case 'o':
      return value.toString(8);
    case 'b':
      return value.toString(2);
    case 'c':
      return value >= 0 && value <= 0x10ffff ? String.fromCodePoint(value) : '\ufffd';
    default:
      return undefined;
  }
}

function floatVerb(letter: string, value: number, precision = 6): string | undefined {
  if (letter === 'f') return value.toFixed(Math.min(precision, 100));
  if (letter === 'e')
    return value.toExponential(Math.min(precision, 100)).replace(/e([+-])(\d)$/, 'e$10$2');
  return letter === 'g' ? printNumber(value) : undefined;
}

import { toJson } from './json.ts';
import { compare, equal, indexOf, lengthOf, slice } from './operators.ts';
import { printf } from './printf.ts';
import { isEmpty, print, type Value } from './value.ts';

/** What a parameter takes. The last one of a variadic function repeats. */
export type Parameter = 'any' | 'string' | 'int' | 'strings';

export interface TemplateFunction {
  readonly parameters: readonly Parameter[];
  /** The last parameter stands for any number of arguments, none included. */
  readonly variadic?: boolean;
  /** Arguments have the types that `parameters` says. @throws FunctionError */
  readonly call: (...args: never[]) => Value;
}

export type Functions = ReadonlyMap<string, TemplateFunction>;

/** `and` and `or` are here for their names only: they evaluate no more arguments than they must. */
export const FUNCTIONS: Functions = new Map(
  Object.entries<TemplateFunction>({
    and: { parameters: ['any', 'any'], variadic: true, call: () => undefined },
    or: { parameters: ['any', 'any'], variadic: true, call: () => undefined },
    not: { parameters: ['any'], call: isEmpty },
    len: { parameters: ['any'], call: lengthOf },
    index: { parameters: ['any', 'any'], variadic: true, call: indexOf },
    slice: { parameters: ['any', 'any'], variadic: true, call: slice },
    print: { parameters: ['any'], variadic: true, call: printAll },
    println: {
      parameters: ['any'],
      variadic: true,
      call: (...values: Value[]) => `${values.map((value) => print(value)).join(' ')}\n`,
    },
    printf: { parameters: ['string', 'any'], variadic: true, call: printf },
    eq: { parameters: ['any', 'any'], variadic: true, call: equal },
    ne: { parameters: ['any', 'any'], call: (a: Value, b: Value) => !equal(a, b) },
    lt: { parameters: ['any', 'any'], call: (a: Value, b: Value) => compare(a, b) < 0 },
    le: { parameters: ['any', 'any'], call: (a: Value, b: Value) => compare(a, b) <= 0 },
    gt: { parameters: ['any', 'any'], call: (a: Value, b: Value) => compare(a, b) > 0 },
    ge: { parameters: ['any', 'any'], call: (a: Value, b: Value) => compare(a, b) >= 0 },
    // docker's own
    json: { parameters: ['any'], call: (value: Value) => toJson(value) },
    join: {
      parameters: ['strings', 'string'],
      call: (list: string[], separator: string) => list.join(separator),
    },
    split: {
      parameters: ['string', 'string'],
      call: (text: string, separator: string) => text.split(separator),
    },
    lower: { parameters: ['string'], call: (text: string) => text.toLowerCase() },
    upper: { parameters: ['string'], call: (text: string) => text.toUpperCase() },
    title: {
      parameters: ['string'],
      call: (text: string) =>
        text.replace(/(?<![\p{L}\p{Nd}_'])\p{L}/gu, (letter) => letter.toUpperCase()),
    },
    pad: {
      parameters: ['string', 'int', 'int'],
      call: (text: string, before: number, after: number) =>
        text && spaces(before) + text + spaces(after),
    },
    truncate: {
      parameters: ['string', 'int'],
      call: (text: string, length: number) => text.slice(0, Math.max(0, length)),
    },
  }),
);

const asIs = (value: Value): Value => value;

/** For the heading of a table: what is done to a column's text is not done to its name. */
export const HEADING_FUNCTIONS: Functions = new Map([
  ...FUNCTIONS,
  ...['json', 'lower', 'upper', 'title'].map((name): [string, TemplateFunction] => [
    name,
    { parameters: ['any'], call: asIs },
  ]),
  ...['join', 'split', 'truncate'].map((name): [string, TemplateFunction] => [
    name,
    { parameters: ['any', 'any'], call: asIs },
  ]),
]);

const spaces = (count: number): string => ' '.repeat(Math.min(Math.max(0, count), 1000));

/** Spaces go between operands when neither is a string. */
function printAll(...values: Value[]): string {
  return values
    .map((value, index) => {
      const before = values[index - 1];
      const apart = index > 0 && typeof value !== 'string' && typeof before !== 'string';
      return (apart ? ' ' : '') + print(value);
    })
    .join('');
}

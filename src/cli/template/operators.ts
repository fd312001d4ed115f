import { isList, isMap, NIL_LIST, print, Struct, typeOf, type Value } from './value.ts';

/** A template function's complaint about its arguments; the evaluator adds where it was called. */
export class FunctionError extends Error {
  override readonly name: string = 'FunctionError';
}

/** Of a string: in bytes. */
export function lengthOf(value: Value): number {
  if (typeof value === 'string') return Buffer.byteLength(value);
  if (isList(value)) return value.length;
  if (isMap(value)) return value.size;
  throw new FunctionError(
    value === undefined || value === null ? 'len of nil pointer' : `len of type ${typeOf(value)}`,
  );
}

/** `index x 1 2` is `x[1][2]`. */
export function indexOf(value: Value, ...path: Value[]): Value {
  return path.reduce<Value>((item, key) => step(item, key), value);
}

function step(value: Value, key: Value): Value {
  if (value === undefined || value === null || value === NIL_LIST)
    throw new FunctionError('index of untyped nil');
  if (isMap(value) || value instanceof Struct) {
    if (typeof key !== 'string')
      throw new FunctionError(`value has type ${typeOf(key)}; should be string`);
    // Go gives the zero value; all of our maps hold strings, or structs without fields.
    const found = isMap(value) ? value.get(key) : value.fields.get(key);
    return found === undefined ? '' : found;
  }
  if (typeof value === 'string') return Buffer.from(value)[position(key, lengthOf(value))];
  if (isList(value)) return value[position(key, value.length)];
  throw new FunctionError(`can't index item of type ${typeOf(value)}`);
}

function position(key: Value, length: number, last: number = length - 1): number {
  if (typeof key !== 'number' || !Number.isInteger(key))
    throw new FunctionError(
      key === undefined || key === null
        ? 'cannot index slice/array with nil'
        : `cannot index slice/array with type ${typeOf(key)}`,
    );
  if (key < 0 || key > last) throw new FunctionError(`index out of range: ${key}`);
  return key;
}

/** `slice x 1 2` is `x[1:2]`; strings are cut by bytes. */
export function slice(value: Value, ...bounds: Value[]): Value {
  if (typeof value !== 'string' && !isList(value))
    throw new FunctionError(
      value === undefined || value === null
        ? 'slice of untyped nil'
        : `can't slice item of type ${typeOf(value)}`,
    );
  if (bounds.length > 2) throw new FunctionError(`too many slice indexes: ${bounds.length}`);
  const length = lengthOf(value);
  const [from, to] = [bounds[0] ?? 0, bounds[1] ?? length].map((bound) =>
    position(bound, length, length),
  ) as [number, number];
  if (from > to) throw new FunctionError(`invalid slice index: ${from} > ${to}`);
  return typeof value === 'string'
    ? Buffer.from(value).subarray(from, to).toString()
    : value.slice(from, to);
}

/** Whether the first equals any of the others. */
export function equal(first: Value, ...others: Value[]): boolean {
  comparable(first);
  if (others.length === 0) throw new FunctionError('missing argument for comparison');
  return others.some((other) => {
    comparable(other);
    if (first === undefined || first === null || other === undefined || other === null)
      return (first ?? null) === (other ?? null);
    if (typeof first !== typeof other) throw new FunctionError('incompatible types for comparison');
    return first === other;
  });
}

/** Below, at, or above zero. */
export function compare(a: Value, b: Value): number {
  comparable(a);
  comparable(b);
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  if (typeof a === 'string' && typeof b === 'string') return a < b ? -1 : a > b ? 1 : 0;
  throw new FunctionError(
    typeof a === typeof b ? 'invalid type for comparison' : 'incompatible types for comparison',
  );
}

function comparable(value: Value): void {
  if (isList(value) || isMap(value) || value instanceof Struct)
    throw new FunctionError(`non-comparable type ${print(value)}: ${typeOf(value)}`);
}

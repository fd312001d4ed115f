import { FunctionError } from './function-error.ts';
import { isList, isMap, print, Struct, typeOf, type Value } from './value.ts';

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

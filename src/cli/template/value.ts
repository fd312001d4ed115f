/** What a template sees: Go's kinds, as far as docker's data use them. `undefined` is Go's "no value". */
export type Value =
  | undefined
  | null
  | boolean
  | number
  | string
  | readonly Value[]
  | ReadonlyMap<string, Value>
  | Struct
  | Duration;

/** A nil slice: prints as an empty one, and as `null` in JSON. */
export const NIL_LIST: readonly Value[] = Object.freeze([]);
/** A nil map: prints as an empty one, and as `null` in JSON. */
export const NIL_MAP: ReadonlyMap<string, Value> = new Map();

export interface StructOptions {
  /** Fields that JSON leaves out while they are empty. */
  readonly omitEmpty?: readonly string[];
  /** Name of the type in error messages. */
  readonly type?: string;
}

/** Named fields in a fixed order. */
export class Struct {
  readonly fields: ReadonlyMap<string, Value>;
  readonly type: string | undefined;
  readonly #omitEmpty: ReadonlySet<string>;

  constructor(
    fields: Readonly<Record<string, Value>>,
    { omitEmpty = [], type }: StructOptions = {},
  ) {
    this.fields = new Map(Object.entries(fields));
    this.type = type;
    this.#omitEmpty = new Set(omitEmpty);
  }

  /** What JSON shows. */
  *entries(): Generator<[string, Value]> {
    for (const [name, value] of this.fields)
      if (!this.#omitEmpty.has(name) || !isEmpty(value)) yield [name, value];
  }
}

/** A number of nanoseconds that prints as Go's `time.Duration`. */
export class Duration {
  readonly nanoseconds: number;

  constructor(nanoseconds: number) {
    this.nanoseconds = nanoseconds;
  }

  toString(): string {
    const { nanoseconds: total } = this;
    if (total === 0) return '0s';
    const sign = total < 0 ? '-' : '';
    const size = Math.abs(total);
    if (size < 1e3) return `${sign}${size}ns`;
    if (size < 1e6) return `${sign}${size / 1e3}µs`;
    if (size < 1e9) return `${sign}${size / 1e6}ms`;
    const [hours, minutes] = [Math.floor(size / 3.6e12), Math.floor(size / 6e10) % 60];
    const seconds = (size % 6e10) / 1e9;
    const hasMinutes = hours > 0 || minutes > 0;
    return `${sign}${hours > 0 ? `${hours}h` : ''}${hasMinutes ? `${minutes}m` : ''}${seconds}s`;
  }
}

export const isList = (value: Value): value is readonly Value[] => Array.isArray(value);
export const isMap = (value: Value): value is ReadonlyMap<string, Value> => value instanceof Map;

/** Empty by the rules of Go's `omitempty`, which are also those of `if`: a struct never is. */
export function isEmpty(value: Value): boolean {
  if (isList(value)) return value.length === 0;
  if (isMap(value)) return value.size === 0;
  if (value instanceof Duration) return value.nanoseconds === 0;
  return !value;
}

export const sortedEntries = (map: ReadonlyMap<string, Value>): [string, Value][] =>
  [...map].sort(([a], [b]) => (a < b ? -1 : 1));

/** As Go's `%v` prints it; `fields` as `%+v` does. */
export function print(value: Value, fields = false): string {
  if (value === undefined || value === null) return '<nil>';
  if (isList(value)) return `[${value.map((item) => print(item, fields)).join(' ')}]`;
  if (isMap(value)) {
    const pairs = sortedEntries(value).map(([key, item]) => `${key}:${print(item, fields)}`);
    return `map[${pairs.join(' ')}]`;
  }
  if (value instanceof Struct) {
    const parts = [...value.fields].map(
      ([name, item]) => (fields ? `${name}:` : '') + print(item, fields),
    );
    return `{${parts.join(' ')}}`;
  }
  return typeof value === 'number' ? printNumber(value) : String(value);
}

export function printNumber(value: number): string {
  if (Number.isInteger(value) && Math.abs(value) < 1e21) return String(value);
  return String(value).replace(/e([+-])(\d)$/, 'e$10$2');
}

/** The name Go has for its type, for error messages. */
export function typeOf(value: Value): string {
  if (value === undefined || value === null) return 'untyped nil';
  if (isList(value)) return '[]interface {}';
  if (isMap(value)) return 'map[string]interface {}';
  if (value instanceof Struct) return value.type ?? 'struct';
  if (value instanceof Duration) return 'time.Duration';
  if (typeof value === 'boolean') return 'bool';
  if (typeof value === 'string') return 'string';
  return Number.isInteger(value) ? 'int' : 'float64';
}

import * as v from 'valibot';
import { MicaError } from '../errors.ts';

/** How an untrusted document is read. */
export interface DocumentKind {
  /** What errors call it, e.g. `image config`. */
  readonly what: string;
  /** Longest document accepted, in bytes. */
  readonly limit: number;
}

/** Real documents nest 6 deep; the rest is room for foreign extensions. */
const MAX_DEPTH = 64;

/**
 * Reads an untrusted JSON object, whatever its fields. Two readers must never see different things
 * in it: not UTF-8, an object that names a key twice, and `__proto__` are refused.
 *
 * @throws INVALID_ARGUMENT
 */
export function parseObject(bytes: Uint8Array, kind: DocumentKind): Record<string, unknown> {
  const value = parseValue(bytes, kind);
  if (!isObject(value)) throw invalid(`${kind.what} is not a JSON object`);
  return value;
}

/** The same for an array. @throws INVALID_ARGUMENT */
export function parseArray(bytes: Uint8Array, kind: DocumentKind): unknown[] {
  const value = parseValue(bytes, kind);
  if (!Array.isArray(value)) throw invalid(`${kind.what} is not a JSON array`);
  return value;
}

function parseValue(bytes: Uint8Array, { what, limit }: DocumentKind): unknown {
  if (bytes.byteLength > limit)
    throw invalid(`${what} of ${bytes.byteLength} bytes is larger than the ${limit} allowed`);
  let text: string;
  let value: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    value = JSON.parse(text);
  } catch (error) {
    throw invalid(`${what} is not JSON: ${(error as Error).message}`);
  }
  const ambiguity = findAmbiguity(text);
  if (ambiguity !== undefined) throw invalid(`${what}: ${ambiguity}`);
  return value;
}

/** Gives `value` the shape of `schema`. @throws INVALID_ARGUMENT that names the first field that is wrong */
export function check<Output>(
  schema: v.GenericSchema<unknown, Output>,
  value: unknown,
  { what }: DocumentKind,
): Output {
  const parsed = v.safeParse(schema, value, { abortEarly: true });
  if (parsed.success) return parsed.output;
  const [issue] = parsed.issues;
  throw invalid(`${what}: ${v.getDotPath(issue)?.slice(0, 200) ?? 'document'}: ${issue.message}`);
}

/** A field that may be absent or, as Go writes empty ones, `null`. */
export function optional<Output>(
  schema: v.GenericSchema<unknown, Output>,
): v.OptionalSchema<v.GenericSchema<unknown, Output | undefined>, undefined> {
  return v.optional(
    v.pipe(
      v.nullable(schema),
      v.transform((value) => value ?? undefined),
    ),
  );
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A map, as it came: unlike `v.record`, without dropping keys such as `constructor`. */
export const MapSchema: v.GenericSchema<unknown, Record<string, unknown>> = v.pipe(
  v.unknown(),
  v.check(isObject, 'not an object'),
  v.transform((value) => value as Record<string, unknown>),
);

/** An array; Go writes one without entries as `null`. */
export const arrayOf = <Item>(
  item: v.GenericSchema<unknown, Item>,
): v.GenericSchema<unknown, Item[]> =>
  v.pipe(
    v.nullable(v.array(item)),
    v.transform((items) => items ?? []),
  );

/** An object with these fields, unknown ones kept. Unlike `v.looseObject` alone it takes no array for one. */
export const objectOf = <Entries extends v.ObjectEntries>(
  entries: Entries,
): v.SchemaWithPipe<
  readonly [
    v.GenericSchema<unknown, Record<string, unknown>>,
    v.LooseObjectSchema<Entries, undefined>,
  ]
> => v.pipe(MapSchema, v.looseObject(entries));

/** A map of strings, as it came. */
export const StringsSchema: v.GenericSchema<unknown, Record<string, string>> = v.pipe(
  MapSchema,
  v.check(
    (map) => Object.values(map).every((value) => typeof value === 'string'),
    'not an object of strings',
  ),
  v.transform((map) => map as Record<string, string>),
);

const invalid = (message: string): MicaError => new MicaError('INVALID_ARGUMENT', message);

/** What is wrong with `json`, which is known to be valid: nested too deeply, or a key that readers disagree about. */
function findAmbiguity(json: string): string | undefined {
  /** Of each open bracket: the keys seen so far, or nothing for an array. */
  const open: (Set<string> | undefined)[] = [];
  let expectKey = false;
  for (let at = 0; at < json.length; at++) {
    const char = json[at];
    if (char === '"') {
      const end = endOfString(json, at);
      const keys = open.at(-1);
      if (expectKey && keys !== undefined) {
        const key = JSON.parse(json.slice(at, end)) as string;
        if (keys.has(key) || key === '__proto__')
          return `field ${JSON.stringify(key.slice(0, 100))} ${keys.has(key) ? 'appears twice' : 'is not allowed'}`;
        keys.add(key);
      }
      expectKey = false;
      at = end - 1;
    } else if (char === '{' || char === '[') {
      if (open.push(char === '{' ? new Set() : undefined) > MAX_DEPTH)
        return `nested more than ${MAX_DEPTH} levels deep`;
      expectKey = char === '{';
    } else if (char === '}' || char === ']') {
      open.pop();
    } else if (char === ',') {
      expectKey = open.at(-1) !== undefined;
    }
  }
  return undefined;
}

/** Position after the closing quote of the string that opens at `start`. */
function endOfString(json: string, start: number): number {
  let end = start;
  for (;;) {
    end = json.indexOf('"', end + 1);
    let backslashes = 0;
    while (json[end - 1 - backslashes] === '\\') backslashes++;
    if (backslashes % 2 === 0) return end + 1;
  }
}

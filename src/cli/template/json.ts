import { escapeJson } from '../render/json.ts';
import {
  Duration,
  isList,
  isMap,
  NIL_LIST,
  NIL_MAP,
  sortedEntries,
  Struct,
  type Value,
} from './value.ts';

export const jsonString = (text: string): string => escapeJson(JSON.stringify(text));

/** JSON as docker writes it: fields in their order, map keys sorted, nothing escaped for HTML. */
export function toJson(value: Value, indent = ''): string {
  return write(value, indent, '\n');
}

function write(value: Value, indent: string, newline: string): string {
  if (value === undefined || value === null || value === NIL_LIST || value === NIL_MAP)
    return 'null';
  if (typeof value === 'string') return jsonString(value);
  if (isList(value)) {
    const inner = newline + indent;
    return wrap(
      '[]',
      value.map((item) => write(item, indent, inner)),
      indent,
      newline,
    );
  }
  if (isMap(value)) return writeObject(sortedEntries(value), indent, newline);
  if (value instanceof Struct) return writeObject([...value.entries()], indent, newline);
  if (value instanceof Duration) return String(value.nanoseconds);
  return JSON.stringify(value);
}

function writeObject(entries: [string, Value][], indent: string, newline: string): string {
  const inner = newline + indent;
  const colon = indent === '' ? ':' : ': ';
  const members = entries.map(
    ([key, item]) => jsonString(key) + colon + write(item, indent, inner),
  );
  return wrap('{}', members, indent, newline);
}

function wrap(brackets: string, items: string[], indent: string, newline: string): string {
  const [open, close] = [brackets[0]!, brackets[1]!];
  if (indent === '' || items.length === 0) return open + items.join(',') + close;
  const inner = newline + indent;
  return open + inner + items.join(`,${inner}`) + newline + close;
}

import { isDeepStrictEqual } from 'node:util';
import type { ContainerDefaults } from '../oci/config.ts';

/** A default that image and new base both changed, each in its way. The image's stays. */
export interface ConfigConflict {
  /** `Env PATH`, `User`. */
  readonly field: string;
  readonly image: unknown;
  readonly newBase: unknown;
}

export interface RebasedConfig {
  readonly config: ContainerDefaults;
  readonly conflicts: readonly ConfigConflict[];
}

type Fields = ReadonlyMap<string, unknown>;

/** Fields of which each entry counts by itself. */
const MAPS = ['Labels', 'ExposedPorts', 'Volumes'] as const;
/** A field and an entry of it. No name of a variable has it, nor does a label. */
const SEPARATOR = '\0';

/**
 * The defaults of a rebased image: what it had from its old base comes from the new one, what it
 * said itself stays.
 */
export function rebaseConfig(
  oldBase: ContainerDefaults,
  image: ContainerDefaults,
  newBase: ContainerDefaults,
): RebasedConfig {
  const [was, own, now] = [fieldsOf(oldBase), fieldsOf(image), fieldsOf(newBase)];
  const merged = new Map<string, unknown>();
  const conflicts: ConfigConflict[] = [];
  for (const field of new Set([...now.keys(), ...own.keys()])) {
    const [before, mine, theirs] = [was.get(field), own.get(field), now.get(field)];
    const inherited = isDeepStrictEqual(before, mine);
    const value = inherited ? theirs : mine;
    if (value !== undefined) merged.set(field, value);
    if (!inherited && !isDeepStrictEqual(before, theirs) && !isDeepStrictEqual(mine, theirs))
      conflicts.push({ field: field.replace(SEPARATOR, ' '), image: mine, newBase: theirs });
  }
  return { config: defaultsOf(merged), conflicts };
}

function fieldsOf(defaults: ContainerDefaults): Fields {
  const fields = new Map<string, unknown>();
  for (const [name, value] of Object.entries(defaults)) {
    if (value === undefined) continue;
    if (name === 'Env')
      for (const variable of value as readonly string[])
        fields.set(`Env${SEPARATOR}${variable.split('=', 1)[0]!}`, variable);
    else if (MAPS.some((map) => map === name))
      for (const [key, entry] of Object.entries(value as object))
        fields.set(`${name}${SEPARATOR}${key}`, entry);
    else fields.set(name, value);
  }
  return fields;
}

function defaultsOf(fields: Fields): ContainerDefaults {
  const defaults = new Map<string, unknown>();
  const maps = new Map<string, (readonly [key: string, value: unknown])[]>();
  for (const [field, value] of fields) {
    const at = field.indexOf(SEPARATOR);
    if (at < 0) {
      defaults.set(field, value);
      continue;
    }
    const [name, key] = [field.slice(0, at), field.slice(at + 1)];
    // It has its place from now on, and its content below.
    if (!maps.has(name)) defaults.set(name, undefined);
    maps.set(name, maps.get(name) ?? []);
    maps.get(name)!.push([key, value]);
  }
  for (const [name, entries] of maps)
    defaults.set(
      name,
      name === 'Env' ? entries.map(([, variable]) => variable) : Object.fromEntries(entries),
    );
  return Object.fromEntries(defaults);
}

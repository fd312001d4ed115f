import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import { MicaError } from '../../errors.ts';
import { readToml } from './toml.ts';

export interface RegistryMirror {
  readonly location: string;
  readonly insecure: boolean;
  readonly 'pull-from-mirror': 'all' | 'digest-only' | 'tag-only';
}

const Mirror: v.GenericSchema<unknown, RegistryMirror> = v.object({
  location: v.optional(v.string(), ''),
  insecure: v.optional(v.boolean(), false),
  'pull-from-mirror': v.optional(v.picklist(['all', 'digest-only', 'tag-only']), 'all'),
});

export interface RegistryRule {
  readonly prefix: string;
  readonly location: string;
  readonly insecure: boolean;
  readonly blocked: boolean;
  readonly 'mirror-by-digest-only': boolean;
  readonly mirror: readonly RegistryMirror[];
}

const Rule: v.GenericSchema<unknown, RegistryRule> = v.object({
  prefix: v.optional(v.string(), ''),
  location: v.optional(v.string(), ''),
  insecure: v.optional(v.boolean(), false),
  blocked: v.optional(v.boolean(), false),
  'mirror-by-digest-only': v.optional(v.boolean(), false),
  mirror: v.optional(v.array(Mirror), []),
});

const File = v.object({ registry: v.optional(v.array(Rule), []) });

/** Where a repository really is: `host[:port]/path`. */
export interface Place {
  readonly name: string;
  readonly insecure: boolean;
}

/**
 * The rules of podman's `registries.conf`, version 2. What is about names without a domain
 * (search lists, aliases) is not followed: Mica means Docker Hub then, as docker does.
 *
 * @see https://github.com/containers/image/blob/v5.34.0/docs/containers-registries.conf.5.md
 */
export async function readRegistriesConf(files: readonly string[]): Promise<RegistryRule[]> {
  const rules = new Map<string, RegistryRule>();
  for (const path of await expanded(files))
    for (const rule of (await readToml(path, File))?.registry ?? []) {
      const prefix = rule.prefix || rule.location;
      if (prefix === '')
        throw new MicaError(
          'FAILED_PRECONDITION',
          `${path}: a registry has neither prefix nor location`,
        );
      rules.set(prefix, { ...rule, prefix });
    }
  return [...rules.values()];
}

/** Directories named `….d` stand for the `.conf` files in them. */
async function expanded(files: readonly string[]): Promise<string[]> {
  const paths: string[] = [];
  for (const path of files) {
    const names = path.endsWith('.d') ? await readdir(path).catch(() => []) : [];
    const parts = names.filter((name) => name.endsWith('.conf'));
    parts.sort((a, b) => (a < b ? -1 : 1));
    paths.push(...(path.endsWith('.d') ? parts.map((name) => join(path, name)) : [path]));
  }
  return paths;
}

/** The rule with the longest prefix of `name`, which is `domain/path`. */
export function ruleFor(rules: readonly RegistryRule[], name: string): RegistryRule | undefined {
  return rules
    .filter(({ prefix }) => matchedLength(prefix, name) > 0)
    .sort((a, b) => matchedLength(b.prefix, name) - matchedLength(a.prefix, name))[0];
}

/**
 * Where to look for `name`, the mirrors first.
 *
 * @throws PERMISSION_DENIED when the rule blocks it
 */
export function placesOf(rule: RegistryRule, name: string, byDigest: boolean): Place[] {
  if (rule.blocked)
    throw new MicaError('PERMISSION_DENIED', `${rule.prefix} is blocked by registries.conf`);
  const rest = name.slice(matchedLength(rule.prefix, name));
  const wildcard = rule.prefix.startsWith('*.');
  const at = (location: string): string => {
    if (location === '') return name;
    return wildcard ? location + name.slice(name.indexOf('/')) : location + rest;
  };
  const wanted = rule['mirror-by-digest-only'] ? 'digest-only' : undefined;
  const mirrors = rule.mirror.filter((mirror) => {
    const when = wanted ?? mirror['pull-from-mirror'];
    return mirror.location !== '' && (when === 'all' || (when === 'digest-only') === byDigest);
  });
  return [...mirrors, rule].map(({ location, insecure }) => ({ name: at(location), insecure }));
}

/** How much of `name` the prefix covers: whole parts of it, or with `*.` its host. */
function matchedLength(prefix: string, name: string): number {
  const [host = ''] = name.split('/', 1);
  if (prefix.startsWith('*.')) {
    const [bare = ''] = host.split(':', 1);
    return bare.endsWith(prefix.slice(1)) ? prefix.length - 1 : 0;
  }
  if (!name.startsWith(prefix)) return 0;
  const next = name[prefix.length];
  return next === undefined || next === '/' || next === ':' ? prefix.length : 0;
}

import { MicaError } from '../errors.ts';
import { formatPlatform, type Platform } from '../oci/platform.ts';
import { expand, expandWords, type Lookup } from './dockerfile/expand.ts';
import { type Place, wrong } from './dockerfile/failure.ts';
import type { Arg, Dockerfile, Located } from './dockerfile/instruction.ts';

/** Arguments that need no ARG, and that nothing depends on: they tell only how to reach the network. */
const PROXIES = ['http_proxy', 'https_proxy', 'ftp_proxy', 'no_proxy', 'all_proxy'];
const PROXY_NAMES: ReadonlySet<string> = new Set([
  ...PROXIES,
  ...PROXIES.map((name) => name.toUpperCase()),
]);

export const isProxy = (name: string): boolean => PROXY_NAMES.has(name);

/** The platform arguments that BuildKit defines before the first FROM. */
export function platformArguments(target: Platform, build: Platform): Record<string, string> {
  const of = (prefix: string, platform: Platform): Record<string, string> => ({
    [`${prefix}PLATFORM`]: formatPlatform(platform),
    [`${prefix}OS`]: platform.os,
    [`${prefix}ARCH`]: platform.architecture,
    [`${prefix}VARIANT`]: platform.variant ?? '',
  });
  return { ...of('TARGET', target), ...of('BUILD', build) };
}

/** Replaces variables for one instruction; what is malformed is told with its line. */
export class Replacer {
  readonly #place: Place;
  readonly #lookup: Lookup;
  readonly #escape: string;

  constructor({ file, escape }: Dockerfile, { line }: Pick<Located, 'line'>, lookup: Lookup) {
    this.#place = { file, line };
    this.#lookup = lookup;
    this.#escape = escape;
  }

  word(text: string): string {
    return this.#located(() => expand(text, this.#lookup, { escape: this.#escape }));
  }

  words(text: string): string[] {
    return this.#located(() => expandWords(text, this.#lookup, { escape: this.#escape }));
  }

  /** Of a heredoc. */
  text(text: string): string {
    return this.#located(() => expand(text, this.#lookup, { isText: true }));
  }

  #located<T>(task: () => T): T {
    try {
      return task();
    } catch (error) {
      if (error instanceof MicaError) throw wrong(this.#place, error.message);
      throw error;
    }
  }
}

/**
 * The arguments before the first FROM, which FROM itself and ARG without a default refer to.
 * @param given - `--build-arg`
 * @param used - gets the names of those that were asked for
 */
export function globalArguments(
  dockerfile: Dockerfile,
  predefined: Readonly<Record<string, string>>,
  given: Readonly<Record<string, string>>,
  used: Set<string>,
): ReadonlyMap<string, string> {
  const values = new Map(Object.entries(predefined));
  for (const name of values.keys())
    if (Object.hasOwn(given, name)) {
      values.set(name, given[name]!);
      used.add(name);
    }
  for (const arg of dockerfile.globals)
    for (const { name, value } of expandedArgs(dockerfile, arg, (key) => values.get(key))) {
      const chosen = Object.hasOwn(given, name) ? given[name] : value;
      if (Object.hasOwn(given, name)) used.add(name);
      if (chosen !== undefined) values.set(name, chosen);
    }
  return values;
}

/** Defaults with their variables replaced, one after the other: later ones see earlier ones. */
export function* expandedArgs(
  dockerfile: Dockerfile,
  arg: Arg,
  lookup: Lookup,
): Generator<{ readonly name: string; readonly value: string | undefined }, void, undefined> {
  const replacer = new Replacer(dockerfile, arg, lookup);
  for (const { name, value } of arg.args)
    yield { name, value: value === undefined ? undefined : replacer.word(value) };
}

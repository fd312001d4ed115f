import { posix } from 'node:path';
import { MicaError } from '../errors.ts';
import type { ContainerDefaults } from '../oci/config.ts';
import { isStopSignal } from '../oci/stop-signal.ts';

/**
 * Applies Dockerfile instructions to the defaults of an image, as `--change` of docker's `commit`
 * and `import` takes them: `CMD ["redis-server"]`, `ENV LANG=C.UTF-8`. Variables are not expanded.
 *
 * @throws INVALID_ARGUMENT for what is no such instruction
 */
export function applyChanges(
  defaults: ContainerDefaults,
  changes: readonly string[],
): ContainerDefaults {
  const instructions = changes.map(split);
  const names = instructions.map(([name]) => name);
  const [entrypoint, command] = [names.indexOf('ENTRYPOINT'), names.indexOf('CMD')];
  // An old command is none of a new entry point's arguments.
  const isStale = entrypoint >= 0 && (command < 0 || command > entrypoint);
  return instructions.reduce(
    (changed, [name, rest]) => INSTRUCTIONS[name]!(rest, changed),
    isStale ? { ...defaults, Cmd: undefined } : defaults,
  );
}

type Instruction = (rest: string, defaults: ContainerDefaults) => ContainerDefaults;

const INSTRUCTIONS: Readonly<Record<string, Instruction>> = {
  CMD: (rest, defaults) => ({ ...defaults, Cmd: commandOf(rest, defaults) }),
  ENTRYPOINT: (rest, defaults) => ({ ...defaults, Entrypoint: commandOf(rest, defaults) }),
  ENV: (rest, defaults) => ({ ...defaults, Env: withVariables(defaults.Env ?? [], pairs(rest)) }),
  EXPOSE: (rest, defaults) => ({
    ...defaults,
    ExposedPorts: { ...defaults.ExposedPorts, ...keys(words(rest).flatMap(ports)) },
  }),
  HEALTHCHECK: (rest, defaults) => ({ ...defaults, Healthcheck: healthcheck(rest, defaults) }),
  LABEL: (rest, defaults) => ({
    ...defaults,
    Labels: { ...defaults.Labels, ...Object.fromEntries(pairs(rest)) },
  }),
  ONBUILD: (rest, defaults) => ({
    ...defaults,
    OnBuild: [...(defaults.OnBuild ?? []), NO_TRIGGER.test(rest) ? wrong('ONBUILD', rest) : rest],
  }),
  SHELL: (rest, defaults) => ({ ...defaults, Shell: list(rest) ?? wrong('SHELL', rest) }),
  STOPSIGNAL: (rest, defaults) => ({
    ...defaults,
    StopSignal: isStopSignal(rest) ? rest : wrong('STOPSIGNAL', rest),
  }),
  USER: (rest, defaults) => ({ ...defaults, User: rest }),
  VOLUME: (rest, defaults) => ({
    ...defaults,
    Volumes: { ...defaults.Volumes, ...keys(list(rest) ?? words(rest)) },
  }),
  WORKDIR: (rest, defaults) => ({
    ...defaults,
    WorkingDir: posix.resolve('/', defaults.WorkingDir ?? '', rest),
  }),
};

/** Nothing could be built on an image with these. */
const NO_TRIGGER = /^(?:ONBUILD|FROM|MAINTAINER)(?:\s|$)/i;

function split(change: string): [name: string, rest: string] {
  const [, word = '', rest = ''] = /^\s*([A-Za-z]+)\s*(.*?)\s*$/s.exec(change) ?? [];
  const name = word.toUpperCase();
  if (!Object.hasOwn(INSTRUCTIONS, name))
    throw new MicaError(
      'INVALID_ARGUMENT',
      `${JSON.stringify(change.slice(0, 200))} is none of the instructions ${Object.keys(INSTRUCTIONS).join(', ')}`,
    );
  return rest === '' ? wrong(name, rest) : [name, rest];
}

function wrong(name: string, rest: string): never {
  throw new MicaError(
    'INVALID_ARGUMENT',
    `${name} does not take ${rest === '' ? 'nothing' : JSON.stringify(rest.slice(0, 200))}`,
  );
}

/** The form of a JSON array, which anything else that begins with a bracket is not. */
function list(rest: string): string[] | undefined {
  try {
    const value: unknown = JSON.parse(rest);
    const isList = Array.isArray(value) && value.every((word) => typeof word === 'string');
    return isList ? value : undefined;
  } catch {
    return undefined;
  }
}

const commandOf = (rest: string, { Shell }: ContainerDefaults): string[] =>
  list(rest) ?? [...(Shell ?? ['/bin/sh', '-c']), rest];

const WORD = /(?:\\.|"(?:\\.|[^"\\])*"|'[^']*'|[^\s"'\\])+/gs;

/** Words as a shell sees them: quotes join, a backslash takes the next character as it is. */
function words(rest: string): string[] {
  if (rest.replaceAll(WORD, '').trim() !== '') wrong('the instruction', rest);
  return (rest.match(WORD) ?? []).map(unquoted);
}

const unquoted = (word: string): string =>
  word.replaceAll(
    /'([^']*)'|"((?:\\.|[^"\\])*)"|\\(.)/gs,
    (_, single?: string, double?: string, escaped?: string) =>
      single ?? double?.replaceAll(/\\(["\\$])/g, '$1') ?? escaped ?? '',
  );

/** `a=b c="d e"`, or Docker's old `a rest of the line`. */
function pairs(rest: string): [string, string][] {
  const [, key, value] = /^([^\s=]+)\s+(.*)$/s.exec(rest) ?? [];
  if (key !== undefined) return [[key, value!]];
  return words(rest).map((word) => {
    const at = word.indexOf('=');
    if (at <= 0) wrong('the instruction', word);
    return [word.slice(0, at), word.slice(at + 1)];
  });
}

function withVariables(
  environment: readonly string[],
  variables: readonly (readonly [string, string])[],
): string[] {
  const all = new Map(environment.map((line) => [line.split('=', 1)[0]!, line]));
  for (const [key, value] of variables) all.set(key, `${key}=${value}`);
  return [...all.values()];
}

const keys = (names: readonly string[]): Record<string, object> =>
  Object.fromEntries(names.map((name) => [name, {}]));

const MAX_PORT = 65_535;

/** `8000-8002/tcp`: three ports. */
function ports(text: string): string[] {
  const [, from, to = from, protocol = 'tcp'] =
    /^(\d{1,5})(?:-(\d{1,5}))?(?:\/(tcp|udp|sctp))?$/.exec(text) ?? [];
  const [first, last] = [Number(from), Number(to)];
  if (!(first >= 0 && first <= last && last <= MAX_PORT)) return wrong('EXPOSE', text);
  return Array.from({ length: last - first + 1 }, (_, index) => `${first + index}/${protocol}`);
}

const UNITS: Readonly<Record<string, number>> = { ms: 1e6, s: 1e9, m: 60e9, h: 3600e9 };

function healthcheck(rest: string, defaults: ContainerDefaults): ContainerDefaults['Healthcheck'] {
  const match = /^((?:--[a-z-]+=\S+\s+)*)(NONE|CMD)\s*(.*)$/is.exec(rest);
  if (match === null) return wrong('HEALTHCHECK', rest);
  const [, flags = '', kind = '', test = ''] = match;
  if (kind.toUpperCase() === 'NONE') return { Test: ['NONE'] };
  const given = Object.fromEntries(flags.trim().split(/\s+/).filter(Boolean).map(flagOf));
  const exec = list(test);
  const shell = defaults.Shell === undefined ? ['CMD-SHELL'] : ['CMD', ...defaults.Shell];
  return { Test: exec ? ['CMD', ...exec] : [...shell, test], ...given };
}

const FLAGS: Readonly<Record<string, string>> = {
  interval: 'Interval',
  timeout: 'Timeout',
  'start-period': 'StartPeriod',
  'start-interval': 'StartInterval',
  retries: 'Retries',
};

function flagOf(flag: string): [string, number] {
  const [name = '', value = ''] = flag.slice(2).split('=');
  const field = Object.hasOwn(FLAGS, name) ? FLAGS[name]! : wrong('HEALTHCHECK', flag);
  if (name === 'retries') return /^\d+$/.test(value) ? [field, Number(value)] : wrong(field, value);
  const parts = [...value.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)];
  if (parts.length === 0 || parts.map(([text]) => text).join('') !== value) wrong(field, value);
  return [field, parts.reduce((sum, [, count, unit]) => sum + Number(count) * UNITS[unit!]!, 0)];
}

import { type Place, refused, shown, wrong } from './failure.ts';

/** A `--mount` of RUN. Paths are as they were written. */
export type Mount =
  | {
      readonly type: 'bind';
      readonly target: string;
      readonly source: string;
      /** A stage or image; `undefined`: the build context. */
      readonly from: string | undefined;
      /** What is written is thrown away. */
      readonly writable: boolean;
    }
  | {
      readonly type: 'cache';
      readonly id: string;
      readonly target: string;
      readonly source: string;
      readonly from: string | undefined;
      readonly readonly: boolean;
      readonly sharing: 'shared' | 'private' | 'locked';
      readonly mode: number;
      readonly uid: number;
      readonly gid: number;
    }
  | { readonly type: 'tmpfs'; readonly target: string; readonly size: number | undefined }
  | {
      readonly type: 'secret';
      readonly id: string;
      /** `undefined`: no file. */
      readonly target: string | undefined;
      /** The variable that has it; `undefined`: none. */
      readonly env: string | undefined;
      readonly required: boolean;
      readonly mode: number;
      readonly uid: number;
      readonly gid: number;
    };

/** Other words for the same. */
const ALIASES: Readonly<Record<string, string>> = {
  src: 'source',
  dst: 'target',
  destination: 'target',
  ro: 'readonly',
  rw: 'readwrite',
};

const OPTIONS: Readonly<Record<Mount['type'], readonly string[]>> = {
  bind: ['target', 'source', 'from', 'readonly', 'readwrite'],
  cache: [
    'id',
    'target',
    'source',
    'from',
    'readonly',
    'readwrite',
    'sharing',
    'mode',
    'uid',
    'gid',
  ],
  tmpfs: ['target', 'size'],
  secret: ['id', 'target', 'source', 'env', 'required', 'mode', 'uid', 'gid'],
};

/** What a mount takes files from, before its variables are replaced (there are none in it). */
export function mountSource(text: string): string | undefined {
  return /(?:^|,)from=([^,]*)/.exec(text)?.[1];
}

/** Reads `type=cache,target=/x`. @param text - with its variables replaced */
export function parseMount(text: string, place: Place): Mount {
  const options = new Map<string, string>();
  for (const field of text.split(',')) {
    const equals = field.indexOf('=');
    const written = (equals < 0 ? field : field.slice(0, equals)).trim().toLowerCase();
    const name = Object.hasOwn(ALIASES, written) ? ALIASES[written]! : written;
    if (options.has(name)) throw wrong(place, `--mount has ${name} twice`);
    options.set(name, equals < 0 ? 'true' : field.slice(equals + 1));
  }
  const type = options.get('type') ?? 'bind';
  options.delete('type');
  if (type === 'ssh')
    throw refused(
      place,
      'RUN --mount=type=ssh: no agent is forwarded; use a secret with a deploy key',
    );
  if (!Object.hasOwn(OPTIONS, type))
    throw wrong(place, `--mount has the type ${shown(type)}, not bind, cache, tmpfs or secret`);
  const known = OPTIONS[type as Mount['type']];
  for (const name of options.keys())
    if (!known.includes(name))
      throw wrong(place, `--mount of type ${type} has no option ${shown(name)}`);
  return READERS[type as Mount['type']](new Options(options, place));
}

class Options {
  readonly #options: ReadonlyMap<string, string>;
  readonly place: Place;

  constructor(options: ReadonlyMap<string, string>, place: Place) {
    this.#options = options;
    this.place = place;
  }

  text(name: string): string | undefined {
    const value = this.#options.get(name);
    return value === '' ? undefined : value;
  }

  target(): string {
    const target = this.text('target');
    if (target === undefined) throw wrong(this.place, '--mount has no target');
    return target;
  }

  flag(name: string): boolean {
    const value = this.#options.get(name);
    if (value === undefined || value === 'false') return false;
    if (value === 'true') return true;
    throw wrong(this.place, `--mount: ${name} is ${shown(value)}, neither true nor false`);
  }

  number(name: string, otherwise: number, base = 10): number {
    const value = this.text(name);
    if (value === undefined) return otherwise;
    const digits = base === 8 ? /^[0-7]{1,5}$/ : /^\d{1,10}$/;
    if (digits.test(value)) return Number.parseInt(value, base);
    throw wrong(this.place, `--mount: ${name} is ${shown(value)}, not a number`);
  }
}

const SHARINGS = new Set(['shared', 'private', 'locked']);

const READERS: Readonly<Record<Mount['type'], (options: Options) => Mount>> = {
  bind: (options) => ({
    type: 'bind',
    target: options.target(),
    source: options.text('source') ?? '/',
    from: options.text('from'),
    writable: options.flag('readwrite') && !options.flag('readonly'),
  }),
  cache(options) {
    const sharing = options.text('sharing') ?? 'shared';
    if (!SHARINGS.has(sharing))
      throw wrong(
        options.place,
        `--mount: sharing is ${shown(sharing)}, not shared, private or locked`,
      );
    const target = options.target();
    return {
      type: 'cache',
      id: options.text('id') ?? target,
      target,
      source: options.text('source') ?? '/',
      from: options.text('from'),
      readonly: options.flag('readonly'),
      sharing: sharing as 'shared',
      mode: options.number('mode', 0o755, 8),
      uid: options.number('uid', 0),
      gid: options.number('gid', 0),
    };
  },
  tmpfs: (options) => ({
    type: 'tmpfs',
    target: options.target(),
    size: sizeOf(options),
  }),
  secret(options) {
    const [target, env] = [options.text('target'), options.text('env')];
    const id = options.text('id') ?? options.text('source') ?? target?.split('/').at(-1);
    if (id === undefined)
      throw wrong(options.place, '--mount of type secret has neither id nor target');
    return {
      type: 'secret',
      id,
      target: target ?? (env === undefined ? `/run/secrets/${id}` : undefined),
      env,
      required: options.flag('required'),
      mode: options.number('mode', 0o400, 8),
      uid: options.number('uid', 0),
      gid: options.number('gid', 0),
    };
  },
};

const UNITS: Readonly<Record<string, number>> = { '': 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 };

function sizeOf(options: Options): number | undefined {
  const text = options.text('size');
  if (text === undefined) return undefined;
  const [, number, unit = ''] = /^(\d{1,12})([kmg]?)b?$/i.exec(text) ?? [];
  if (number === undefined)
    throw wrong(options.place, `--mount: size is ${shown(text)}, not like 64m`);
  return Number(number) * UNITS[unit.toLowerCase()]!;
}

import { resolve } from 'node:path';
import { MicaError } from '../../../errors.ts';
import { parseBytes } from '../../../io/parse-bytes.ts';
import type { Bind, Tmpfs } from '../../../runtime/spec/options.ts';
import { absolute } from './paths.ts';

/** What is declared as a volume, as an image declares it: `-v PATH`. */
export const isDeclared = (text: string): boolean => text.startsWith('/') && !text.includes(':');

/** `FROM:TO[:OPTIONS]`. */
export function parseVolume(text: string): Bind {
  const [source = '', target, mode = '', ...more] = text.split(':');
  if (target === undefined || more.length > 0 || target === '')
    throw new MicaError(
      'INVALID_ARGUMENT',
      `volume ${JSON.stringify(text)} is neither FROM:TO[:OPTIONS] nor an absolute path`,
    );
  if (!source.includes('/') && source !== '.' && source !== '..')
    throw new MicaError(
      'NOT_IMPLEMENTED',
      `volume ${source}: named volumes are out of Mica's scope; give a directory (./${source}:${target})`,
    );
  const words = mode.split(',').filter((one) => one !== '');
  checkWords(text, words);
  return {
    source: resolve(source),
    target: absolute('--volume', target),
    readonly: words.includes('ro'),
    propagation: words.find(isPropagation),
  };
}

const PROPAGATIONS = ['private', 'rprivate', 'shared', 'rshared', 'slave', 'rslave'] as const;

const isPropagation = (word: string): word is NonNullable<Bind['propagation']> =>
  (PROPAGATIONS as readonly string[]).includes(word);

/**
 * What may come after the target, each with what excludes it. Those of SELinux and of Docker Desktop mean
 * nothing here, and harm nobody.
 */
const VOLUME_WORDS: readonly (readonly string[])[] = [
  ['ro', 'rw'],
  ['z', 'Z'],
  ['nocopy'],
  ['consistent', 'cached', 'delegated'],
  PROPAGATIONS,
];

function checkWords(text: string, words: readonly string[]): void {
  const unknown = words.find((word) => !VOLUME_WORDS.some((group) => group.includes(word)));
  if (unknown !== undefined)
    throw new MicaError('INVALID_ARGUMENT', `volume ${text}: unknown option ${unknown}`);
  for (const group of VOLUME_WORDS) {
    const given = words.filter((word) => group.includes(word));
    if (given.length > 1)
      throw new MicaError(
        'INVALID_ARGUMENT',
        `volume ${text}: ${given.join(' and ')} exclude each other; give one of them`,
      );
  }
}

export function parseTmpfs(text: string): Tmpfs {
  const at = text.indexOf(':');
  const target = absolute('--tmpfs', at < 0 ? text : text.slice(0, at));
  return at < 0 ? { target } : { target, options: text.slice(at + 1).split(',') };
}

/** docker's other spellings of what `--mount` says. */
const SPELLINGS: Readonly<Record<string, string>> = {
  src: 'source',
  dst: 'target',
  destination: 'target',
  ro: 'readonly',
};

const KEYS: Readonly<Record<string, readonly string[]>> = {
  bind: 'type source target readonly bind-propagation bind-nonrecursive bind-recursive consistency'.split(
    ' ',
  ),
  tmpfs: 'type target readonly tmpfs-size tmpfs-mode'.split(' '),
  volume: 'type source target volume-nocopy'.split(' '),
};

interface ParsedMount {
  readonly bind?: Bind;
  readonly tmpfs?: Tmpfs;
  /** Declared as a volume. */
  readonly volume?: string;
}

/** `type=bind,source=…,target=…,readonly`. */
export function parseMount(text: string): ParsedMount {
  const fields = new Map(
    text.split(',').map((part): [string, string] => {
      const [key = '', ...value] = part.split('=');
      return [SPELLINGS[key] ?? key, value.length > 0 ? value.join('=') : 'true'];
    }),
  );
  const type = fields.get('type') ?? 'volume';
  const keys = Object.hasOwn(KEYS, type) ? KEYS[type]! : refuseType(text, type);
  const unknown = [...fields.keys()].find((key) => !keys.includes(key));
  if (unknown !== undefined)
    throw invalid(text, `${unknown} is not among the options of a ${type} mount`);
  const target = fields.get('target');
  if (target === undefined) throw invalid(text, 'it has no target');
  if (type === 'volume') return { volume: volumeOf(text, fields, target) };
  const readonly = isOn(text, fields, 'readonly');
  if (type === 'bind') return { bind: bindOf(text, fields, { target, readonly }) };
  const size = fields.get('tmpfs-size');
  const options = [
    ...(readonly ? ['ro'] : []),
    ...(size === undefined ? [] : [`size=${parseBytes(size)}`]),
    ...(fields.has('tmpfs-mode') ? [`mode=${fields.get('tmpfs-mode')}`] : []),
  ];
  return { tmpfs: { target: absolute('--mount', target), options } };
}

function refuseType(text: string, type: string): never {
  throw new MicaError(
    'NOT_IMPLEMENTED',
    `mount ${JSON.stringify(text)}: of type ${type} there is none; there are bind, tmpfs, and volume without a source`,
  );
}

function volumeOf(text: string, fields: ReadonlyMap<string, string>, target: string): string {
  if (!fields.has('source')) return absolute('--mount', target);
  throw new MicaError(
    'NOT_IMPLEMENTED',
    `mount ${JSON.stringify(text)}: named volumes are out of Mica's scope; write type=bind,source=DIRECTORY`,
  );
}

function bindOf(
  text: string,
  fields: ReadonlyMap<string, string>,
  { target, readonly }: Pick<Bind, 'target' | 'readonly'>,
): Bind {
  const source = fields.get('source');
  if (source === undefined) throw invalid(text, 'it has no source');
  const propagation = fields.get('bind-propagation');
  if (propagation !== undefined && !isPropagation(propagation))
    throw invalid(text, `unknown propagation ${propagation}`);
  const recursive = fields.get('bind-recursive') ?? 'enabled';
  if (recursive === 'writable' || recursive === 'readonly')
    throw new MicaError(
      'NOT_IMPLEMENTED',
      `mount ${JSON.stringify(text)}: bind-recursive is enabled or disabled here`,
    );
  if (recursive !== 'enabled' && recursive !== 'disabled')
    throw invalid(text, `bind-recursive ${recursive} is neither enabled nor disabled`);
  const flat = recursive === 'disabled' || isOn(text, fields, 'bind-nonrecursive');
  return {
    source: resolve(source),
    target: absolute('--mount', target),
    readonly,
    propagation,
    // docker's --mount, unlike -v, makes no directory of this machine.
    mustExist: true,
    ...(flat && { flat }),
  };
}

function isOn(text: string, fields: ReadonlyMap<string, string>, key: string): boolean {
  const value = fields.get(key) ?? 'false';
  if (value === 'true' || value === '1') return true;
  if (value === 'false' || value === '0') return false;
  throw invalid(text, `${key}=${value} is neither true nor false`);
}

const invalid = (text: string, what: string): MicaError =>
  new MicaError('INVALID_ARGUMENT', `mount ${JSON.stringify(text)}: ${what}`);

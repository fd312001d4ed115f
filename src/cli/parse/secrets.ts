import { resolve } from 'node:path';
import { MicaError } from '../../errors.ts';

/** Reads `id=NAME,src=FILE` as docker does. @returns absolute paths by id */
export function parseSecrets(words: readonly string[]): Record<string, string> {
  return Object.fromEntries(words.map(parseSecret));
}

const FIELDS: Readonly<Record<string, string>> = {
  id: 'id',
  src: 'src',
  source: 'src',
  type: 'type',
};

function parseSecret(word: string): [id: string, path: string] {
  const fields = new Map<string, string>();
  for (const field of word.split(',')) {
    const [, key = '', value = ''] = /^([a-z]+)=(.+)$/.exec(field) ?? [];
    const name = Object.hasOwn(FIELDS, key) ? FIELDS[key] : undefined;
    if (name === undefined || fields.has(name) || (name === 'type' && value !== 'file'))
      throw new MicaError(
        'INVALID_ARGUMENT',
        `--secret: ${JSON.stringify(field.slice(0, 40))} is not understood; write id=NAME,src=FILE`,
      );
    fields.set(name, value);
  }
  const id = fields.get('id') ?? fields.get('src')?.split('/').at(-1);
  if (id === undefined)
    throw new MicaError('INVALID_ARGUMENT', '--secret has no id; write id=NAME,src=FILE');
  return [id, resolve(fields.get('src') ?? id)];
}

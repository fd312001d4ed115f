import { resolve } from 'node:path';
import type { BuildSecret } from '../../build/builder.ts';
import { environmentValue } from '../../engine/config.ts';
import { MicaError } from '../../errors.ts';

/** Reads `id=NAME,src=FILE` and `id=NAME,env=VARIABLE` as BuildKit does. @returns secrets by id */
export function parseSecrets(words: readonly string[]): Record<string, BuildSecret> {
  return Object.fromEntries(words.map(parseSecret));
}

const FIELDS: Readonly<Record<string, string>> = {
  id: 'id',
  src: 'src',
  source: 'src',
  type: 'type',
  env: 'env',
};

function parseSecret(word: string): [id: string, secret: BuildSecret] {
  const fields = new Map<string, string>();
  for (const field of word.split(',')) {
    const [, key = '', value = ''] = /^([a-z]+)=(.+)$/i.exec(field.trim()) ?? [];
    const name = Object.hasOwn(FIELDS, key.toLowerCase()) ? FIELDS[key.toLowerCase()] : undefined;
    if (name === undefined || fields.has(name))
      throw wrong(`${JSON.stringify(field.slice(0, 40))} is not understood`);
    fields.set(name, value);
  }
  const [id, type, src] = ['id', 'type', 'src'].map((name) => fields.get(name));
  if (id === undefined) throw wrong('there is no id');
  if (type !== undefined && type !== 'file' && type !== 'env')
    throw wrong(`there is no type ${JSON.stringify(type.slice(0, 40))}`);
  return [id, secretOf(id, type === 'env' ? { env: src ?? id } : { src }, fields.get('env'))];
}

/** What is in the environment under the name of the secret is taken from there unless a file is named. */
function secretOf(
  id: string,
  { src, env }: { readonly src?: string | undefined; readonly env?: string },
  given: string | undefined,
): BuildSecret {
  const isThere = src === undefined && environmentValue(id) !== undefined;
  const variable = given ?? env ?? (isThere ? id : undefined);
  if (variable === undefined) return resolve(src ?? id);
  // A variable that is not set is an empty secret, as there.
  return Buffer.from(environmentValue(variable) ?? '');
}

const wrong = (what: string): MicaError =>
  new MicaError(
    'INVALID_ARGUMENT',
    `--secret: ${what}; write id=NAME,src=FILE or id=NAME,env=VARIABLE`,
  );

import { resolve } from 'node:path';
import type { NamedContext } from '../../build/builder.ts';
import { MicaError } from '../../errors.ts';
import { parsePairs } from './pairs.ts';

/**
 * `NAME=WHERE` as docker reads it: a directory, or `docker-image://REFERENCE`.
 * @throws INVALID_ARGUMENT · NOT_IMPLEMENTED for other schemes
 */
export function parseBuildContexts(
  words: readonly string[] | undefined,
): Record<string, NamedContext> | undefined {
  const pairs = Object.entries(parsePairs('--build-context', words) ?? {});
  return Object.fromEntries(pairs.map(([name, where]) => [name, contextAt(name, where)]));
}

function contextAt(name: string, where: string): NamedContext {
  const [, scheme, rest = where] = /^([a-z][a-z0-9-]*):\/\/(.*)$/s.exec(where) ?? [];
  if (scheme === 'docker-image' && rest !== '') return { image: rest };
  if (scheme !== undefined)
    throw new MicaError(
      'NOT_IMPLEMENTED',
      `--build-context ${name}: ${scheme}:// is not read; give a directory, or docker-image://NAME (an OCI layout: load it first)`,
    );
  if (where === '')
    throw new MicaError('INVALID_ARGUMENT', `--build-context ${name}: no place is given`);
  return { directory: resolve(where) };
}

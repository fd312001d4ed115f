import { environmentValue } from '../../engine/config.ts';
import { MicaError } from '../../errors.ts';

/** As {@link parsePairs}; `NAME` alone has its value from our environment, and is left out without one. */
export const parsePairsFromHere = (
  option: string,
  words: readonly string[] | undefined,
): Record<string, string> | undefined =>
  parsePairs(
    option,
    words?.flatMap((word) => {
      if (word === '' || word.includes('=')) return word;
      const value = environmentValue(word);
      return value === undefined ? [] : `${word}=${value}`;
    }),
  );

/** `NAME=VALUE` as options give them; the value may be empty. @throws INVALID_ARGUMENT */
export function parsePairs(
  option: string,
  words: readonly string[] | undefined,
): Record<string, string> | undefined {
  if (words === undefined) return undefined;
  const pairs = words.map((word): [string, string] => {
    const at = word.indexOf('=');
    if (at > 0) return [word.slice(0, at), word.slice(at + 1)];
    throw new MicaError(
      'INVALID_ARGUMENT',
      `${option} ${JSON.stringify(word.slice(0, 200))}: write NAME=VALUE`,
    );
  });
  return Object.fromEntries(pairs);
}

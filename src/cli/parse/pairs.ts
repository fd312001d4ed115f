import { MicaError } from '../../errors.ts';

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

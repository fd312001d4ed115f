import { readFileSync } from 'node:fs';
import { environmentValue } from '../../../engine/config.ts';
import { MicaError } from '../../../errors.ts';
import { fromNode } from '../../../sys/errno.ts';

export interface EnvironmentFlags {
  readonly env: readonly string[];
  readonly envFile: readonly string[];
}

/** Files first, so that single variables win. */
export const environmentOf = ({ env, envFile }: EnvironmentFlags): string[] =>
  [...envFile.flatMap(readLines), ...env].map(fromHere).filter((entry) => entry !== undefined);

/** `NAME` alone takes its value from our environment; where that has none, it is not set. */
function fromHere(entry: string): string | undefined {
  const text = entry.trimStart();
  if (text === '' || text.startsWith('='))
    throw new MicaError(
      'INVALID_ARGUMENT',
      `environment ${JSON.stringify(entry)} is not NAME[=VALUE]`,
    );
  if (text.includes('=')) return text;
  const value = environmentValue(text);
  return value === undefined ? undefined : `${text}=${value}`;
}

/** Lines of a file, without comments and empty ones. */
export function readLines(path: string): string[] {
  try {
    const lines = readFileSync(path, 'utf8').split(/\r?\n/);
    return lines.filter((line) => line.trim() !== '' && !line.trimStart().startsWith('#'));
  } catch (error) {
    throw fromNode(error);
  }
}

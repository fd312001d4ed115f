import { MicaError } from '../../errors.ts';
import { fromNode } from '../../sys/errno.ts';
import { StartError } from '../failure.ts';
import type { Failure } from '../frame.ts';

/** An error in a form that survives a socket. */
export function failureOf(error: unknown): Failure {
  const known = fromNode(error);
  if (!(known instanceof MicaError)) return { code: 'INTERNAL', message: String(error) };
  const { code, message } = known;
  return { code, message, ...(known instanceof StartError && { exitCode: known.exitCode }) };
}

import { MicaError } from '../../errors.ts';
import { StartError } from '../failure.ts';
import type { Failure } from '../frame.ts';

/** An error in a form that survives a socket. */
export function failureOf(error: unknown): Failure {
  if (!(error instanceof MicaError)) return { code: 'INTERNAL', message: String(error) };
  const { code, message } = error;
  return { code, message, ...(error instanceof StartError && { exitCode: error.exitCode }) };
}

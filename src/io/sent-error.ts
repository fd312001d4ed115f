import { type ErrorCode, MicaError } from '../errors.ts';

/** An error as plain data: the classes of errors do not survive the way between threads. */
export interface SentError {
  /** `undefined`: a mistake of the program. */
  readonly code: ErrorCode | undefined;
  readonly message: string;
  readonly stack: string | undefined;
  readonly cause: unknown;
}

export function sendError(error: unknown): SentError {
  if (!(error instanceof Error))
    return { code: undefined, message: String(error), stack: undefined, cause: undefined };
  const { message, stack } = error;
  const isOurs = error instanceof MicaError;
  const cause = error.cause instanceof Error ? error.cause.message : error.cause;
  return { code: isOurs ? error.code : undefined, message, stack, cause };
}

export function receiveError({ code, message, stack, cause }: SentError): Error {
  if (code !== undefined) return new MicaError(code, message, { cause });
  const error = new Error(`in a thread: ${message}`, { cause });
  if (stack !== undefined) error.stack = stack;
  return error;
}

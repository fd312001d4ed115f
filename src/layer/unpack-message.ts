import { type ErrorCode, MicaError } from '../errors.ts';
import type { UnpackJob, UnpackResult } from './unpack-job.ts';

/** From the pool to a worker: one job. */
export interface UnpackRequest {
  readonly job: UnpackJob;
  /** Of an `Available`. */
  readonly available: SharedArrayBuffer;
}

/** From a worker to the pool; every job ends with one that is no progress. */
export type UnpackMessage =
  | { readonly type: 'progress'; readonly bytes: number }
  | { readonly type: 'done'; readonly result: UnpackResult }
  /** `Available.fail` was called. */
  | { readonly type: 'stopped' }
  | { readonly type: 'failed'; readonly error: SentError };

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
  const error = new Error(`unpack: ${message}`, { cause });
  if (stack !== undefined) error.stack = stack;
  return error;
}

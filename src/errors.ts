/**
 * Every failure a caller may want to act on. Closed on purpose: surfaces map it
 * totally (HTTP status, exit code), so adding a code fails to compile until
 * every surface knows it.
 */
export type ErrorCode =
  | 'INVALID_ARGUMENT'
  | 'NOT_FOUND'
  | 'ALREADY_EXISTS'
  | 'CONFLICT'
  | 'FAILED_PRECONDITION'
  | 'UNAUTHENTICATED'
  | 'PERMISSION_DENIED'
  | 'RESOURCE_EXHAUSTED'
  | 'UNAVAILABLE'
  | 'NOT_IMPLEMENTED'
  | 'DATA_LOSS'
  | 'INTERNAL';

/** The only error class the engine throws (besides `AbortError`, which is the caller's own). */
export class MicaError extends Error {
  override readonly name: string = 'MicaError';
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

export const isCode = (error: unknown, code: ErrorCode): error is MicaError =>
  error instanceof MicaError && error.code === code;

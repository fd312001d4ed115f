import { type ErrorCode, MicaError } from '../errors.ts';

/** One entry of the specification's `errors` list, made harmless for a terminal. */
export interface RegistryProblem {
  /** e.g. `MANIFEST_UNKNOWN`. */
  readonly code: string;
  readonly message: string;
}

export interface RegistryAnswer {
  readonly status: number;
  /** Without its query, which may hold secrets. */
  readonly url: string;
  readonly errors: readonly RegistryProblem[];
  /** When the registry wants to be asked again, in milliseconds from now. */
  readonly retryAfter?: number | undefined;
}

/**
 * A registry, or what it sent us to, refused a request.
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#error-codes
 */
export class RegistryError extends MicaError implements RegistryAnswer {
  override readonly name: string = 'RegistryError';
  readonly status: number;
  readonly url: string;
  readonly errors: readonly RegistryProblem[];
  readonly retryAfter: number | undefined;

  constructor(message: string, answer: RegistryAnswer, options?: ErrorOptions) {
    super(codeOf(answer.status), message, options);
    this.status = answer.status;
    this.url = answer.url;
    this.errors = answer.errors;
    this.retryAfter = answer.retryAfter;
  }
}

const CODES: Readonly<Record<number, ErrorCode>> = {
  401: 'UNAUTHENTICATED',
  403: 'PERMISSION_DENIED',
  404: 'NOT_FOUND',
  405: 'NOT_IMPLEMENTED',
  407: 'UNAUTHENTICATED',
  408: 'UNAVAILABLE',
  409: 'CONFLICT',
  410: 'NOT_FOUND',
  425: 'UNAVAILABLE',
  429: 'UNAVAILABLE',
  501: 'NOT_IMPLEMENTED',
};

function codeOf(status: number): ErrorCode {
  return CODES[status] ?? (status >= 500 ? 'UNAVAILABLE' : 'INVALID_ARGUMENT');
}

const MAX_PROBLEMS = 5;

/** Reads the body of a refusal, which may be anything. */
export function parseProblems(body: Uint8Array): RegistryProblem[] {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(body));
  } catch {
    return [];
  }
  const { errors, details, message } = Object(value) as Record<string, unknown>;
  if (Array.isArray(errors)) return errors.slice(0, MAX_PROBLEMS).map(toProblem);
  // Token servers and proxies answer {"details": …} or {"message": …}.
  const text = typeof details === 'string' ? details : message;
  return typeof text === 'string' ? [toProblem({ message: text })] : [];
}

function toProblem(value: unknown): RegistryProblem {
  const { code, message } = Object(value) as Record<string, unknown>;
  return {
    code: typeof code === 'string' ? harmless(code, 50) : 'UNKNOWN',
    message: typeof message === 'string' ? harmless(message, 300) : '',
  };
}

/** Text of a stranger that is going to be printed: no control characters, no reversed writing, not long. */
export const harmless = (text: string, length: number): string =>
  text
    .slice(0, length)
    .replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ')
    .trim();

import type { ErrorCode } from '../errors.ts';

/** What a shell sees of a failure; documented in docs/cli.md and as stable as the codes themselves. */
export const EXIT_CODE: Readonly<Record<ErrorCode, number>> = {
  INTERNAL: 1,
  INVALID_ARGUMENT: 2,
  NOT_FOUND: 3,
  ALREADY_EXISTS: 4,
  CONFLICT: 5,
  FAILED_PRECONDITION: 6,
  UNAUTHENTICATED: 7,
  PERMISSION_DENIED: 8,
  RESOURCE_EXHAUSTED: 9,
  UNAVAILABLE: 10,
  NOT_IMPLEMENTED: 11,
  DATA_LOSS: 12,
};

/** The command line itself was wrong. */
export const USAGE = 2;
/** docker's, for whatever keeps a container from being started. */
export const NOT_STARTED = 125;
/** As the shell reports what a signal ended: 128 and its number. */
export const SIGNAL_CODE = { SIGHUP: 129, SIGINT: 130, SIGPIPE: 141, SIGTERM: 143 } as const;

import { MicaError } from '../../errors.ts';
import type { Rlimit } from './oci-spec.ts';
import type { Ulimit } from './options.ts';

const NAMES: ReadonlySet<string> = new Set(
  `as core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending
  stack`.split(/\s+/),
);

/** A limit as the kernel has it; "no limit" is the largest number of 64 bits. */
export function rlimitsOf({ name, soft, hard }: Ulimit): Rlimit {
  if (!NAMES.has(name))
    throw new MicaError('INVALID_ARGUMENT', `unknown limit ${JSON.stringify(name)}; see ulimit(1)`);
  if (hard !== -1 && (soft === -1 || soft > hard))
    throw new MicaError(
      'INVALID_ARGUMENT',
      `limit ${name}: ${soft} is above the hard limit ${hard}`,
    );
  return { type: `RLIMIT_${name.toUpperCase()}`, soft: bound(soft), hard: bound(hard) };
}

const bound = (value: number): bigint => (value === -1 ? 2n ** 64n - 1n : BigInt(value));

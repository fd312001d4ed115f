import { getSystemErrorMap } from 'node:util';
import { type ErrorCode, MicaError } from '../errors.ts';
import { printable, toBytes } from './byte-string.ts';

/** What a failed system call says, as the `cause` of the error that it became. */
export interface ErrnoFacts {
  readonly errno: number;
  /** `ENOENT`, … */
  readonly code: string;
  readonly syscall: string;
}

const CODES: Readonly<Record<string, ErrorCode>> = {
  EPERM: 'PERMISSION_DENIED',
  EACCES: 'PERMISSION_DENIED',
  ENOENT: 'NOT_FOUND',
  ENXIO: 'NOT_FOUND',
  ENOTDIR: 'FAILED_PRECONDITION',
  EISDIR: 'FAILED_PRECONDITION',
  ENOTEMPTY: 'FAILED_PRECONDITION',
  EBUSY: 'FAILED_PRECONDITION',
  EROFS: 'FAILED_PRECONDITION',
  ETXTBSY: 'FAILED_PRECONDITION',
  ESTALE: 'FAILED_PRECONDITION',
  EEXIST: 'ALREADY_EXISTS',
  EINVAL: 'INVALID_ARGUMENT',
  ENAMETOOLONG: 'INVALID_ARGUMENT',
  ELOOP: 'INVALID_ARGUMENT',
  EXDEV: 'INVALID_ARGUMENT',
  EILSEQ: 'INVALID_ARGUMENT',
  ENOSPC: 'RESOURCE_EXHAUSTED',
  EDQUOT: 'RESOURCE_EXHAUSTED',
  EFBIG: 'RESOURCE_EXHAUSTED',
  EMFILE: 'RESOURCE_EXHAUSTED',
  ENFILE: 'RESOURCE_EXHAUSTED',
  ENOMEM: 'RESOURCE_EXHAUSTED',
  EMLINK: 'RESOURCE_EXHAUSTED',
  ENOSYS: 'NOT_IMPLEMENTED',
  EOPNOTSUPP: 'NOT_IMPLEMENTED',
  ENODEV: 'NOT_IMPLEMENTED',
  ENOTBLK: 'NOT_IMPLEMENTED',
  EIO: 'DATA_LOSS',
  EUCLEAN: 'DATA_LOSS',
  ENOTCONN: 'UNAVAILABLE',
  EAGAIN: 'UNAVAILABLE',
  EINTR: 'UNAVAILABLE',
  ETIMEDOUT: 'UNAVAILABLE',
};

/** What helps when the cause is not in the message itself. */
const ADVICE: Readonly<Record<string, string>> = {
  ENOSPC: '; free some space, for example with `mica prune`',
  EDQUOT: '; the quota of this file system is used up',
  ENOTCONN:
    '; the program that served this file system has ended: start the container again, or mount the view again',
  EFBIG:
    '; raise the limit of file sizes (ulimit -f), or use a file system that has files of this size',
  EMFILE: '; raise the limit of open files (ulimit -n)',
};

/** What Node does not know, or has another name for. */
const OWN_NAMES: Readonly<Record<number, readonly [code: string, text: string]>> = {
  15: ['ENOTBLK', 'block device required'],
  95: ['EOPNOTSUPP', 'operation not supported'],
  116: ['ESTALE', 'stale file handle'],
  117: ['EUCLEAN', 'structure needs cleaning'],
  122: ['EDQUOT', 'disk quota exceeded'],
};

/** @param errno - positive, as in errno.h. */
export function kernelError(errno: number, syscall: string, subject: string): MicaError {
  const [code, text] = OWN_NAMES[errno] ??
    getSystemErrorMap().get(-errno) ?? [`errno ${errno}`, 'unknown error'];
  const cause: ErrnoFacts = { errno, code, syscall };
  const what = subject === '' ? syscall : `${syscall} ${printable(subject)}`;
  return new MicaError(
    CODES[code] ?? 'INTERNAL',
    `${what}: ${text} (${code})${ADVICE[code] ?? ''}`,
    {
      cause,
    },
  );
}

/** Result of a system call as {@link syscall} returns it, or the error it stands for. */
export function checked(result: number, syscall: string, subject: string): number {
  if (result < 0) throw kernelError(-result, syscall, subject);
  return result;
}

/** The errno name behind an error of ours or of Node's: `ENOSPC`, … */
export function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const facts = (error instanceof MicaError ? error.cause : error) as
    | Partial<ErrnoFacts>
    | undefined;
  if (typeof facts?.code !== 'string' || typeof facts.syscall !== 'string') return undefined;
  return OWN_NAMES[-(facts.errno ?? 0)]?.[0] ?? facts.code;
}

/**
 * Turns what Node's own file functions throw into the same errors; anything else comes back as it is.
 * @param path - of the file, where it is reached by a descriptor: Node does not know it then
 */
export function fromNode(error: unknown, path?: string): unknown {
  const code = errnoOf(error);
  if (code === undefined || error instanceof MicaError) return error;
  const { errno, syscall, dest, ...facts } = error as NodeJS.ErrnoException & { dest?: string };
  const known = facts.path ?? path ?? '';
  const subject = dest === undefined ? known : `${known} -> ${dest}`;
  return kernelError(-(errno ?? 0), syscall ?? 'call', toBytes(subject));
}

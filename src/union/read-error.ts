import { MicaError, type ErrorCode } from '../errors.ts';

/** What an errno means for a file of a layer: the index says that it is there and readable. */
const CODES: Readonly<Record<string, ErrorCode>> = {
  ENOENT: 'DATA_LOSS',
  ENOTDIR: 'DATA_LOSS',
  ELOOP: 'DATA_LOSS',
  ENXIO: 'DATA_LOSS',
  EIO: 'DATA_LOSS',
  EACCES: 'PERMISSION_DENIED',
  EPERM: 'PERMISSION_DENIED',
  EMFILE: 'RESOURCE_EXHAUSTED',
  ENFILE: 'RESOURCE_EXHAUSTED',
};

/** @param what was read: `/etc/passwd of the extracted layer` */
export function readError(what: string, error: unknown): MicaError {
  if (error instanceof MicaError) return error;
  const { code = '', message } = error as NodeJS.ErrnoException;
  return new MicaError(CODES[code] ?? 'INTERNAL', `read ${what}: ${message}`, { cause: error });
}

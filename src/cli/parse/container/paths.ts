import { isAbsolute } from 'node:path';
import { MicaError } from '../../../errors.ts';

/** @throws INVALID_ARGUMENT */
export function absolute(flag: string, path: string): string {
  if (isAbsolute(path)) return path;
  throw new MicaError('INVALID_ARGUMENT', `${flag} ${path}: a path in the container is absolute`);
}

import { lstatSync, mkdirSync } from 'node:fs';
import { MicaError } from '../errors.ts';
import { fromNode } from './errno.ts';

/**
 * Makes a directory that only this user writes in, unless it is there: below `/tmp` others may have
 * been there first.
 * @throws PERMISSION_DENIED when it is somebody else's, or others may write in it
 */
export function makeOwnDirectory(path: string): void {
  let found;
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    found = lstatSync(path);
  } catch (error) {
    throw fromNode(error);
  }
  const user = process.geteuid?.();
  if (user === undefined || (found.isDirectory() && found.uid === user && !isOpen(found.mode)))
    return;
  const why = found.isDirectory()
    ? found.uid === user
      ? 'can be written by other users'
      : `belongs to user ${found.uid}`
    : 'is a link';
  throw new MicaError(
    'PERMISSION_DENIED',
    `${path} ${why}; remove it, or set XDG_RUNTIME_DIR to a directory of your own`,
  );
}

const isOpen = (mode: number): boolean => (mode & 0o022) !== 0;

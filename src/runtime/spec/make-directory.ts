import { isCode, MicaError } from '../../errors.ts';
import type { Root } from '../../fs/root.ts';
import { close, fchmodat, mkdirat, O_DIRECTORY, O_PATH } from '../../sys/at.ts';
import { toBytes } from '../../sys/byte-string.ts';

/**
 * Creates `path` below `root`, mode 0755, wherever the image's own links lead inside.
 * @param what of the container it is, for errors
 * @throws FAILED_PRECONDITION when something of it is no directory
 */
export function makeDirectory(root: Root, path: string, what: string): void {
  let made = '';
  for (const name of path.split('/').filter((part) => part !== '')) {
    const parent = made;
    made = `${made}/${name}`;
    if (isDirectory(root, made, what)) continue;
    const fd = root.open(toBytes(parent === '' ? '/' : parent), O_PATH | O_DIRECTORY);
    try {
      mkdirat(fd, toBytes(name), 0o755);
      // The umask is for the files of people.
      fchmodat(fd, toBytes(name), 0o755);
    } catch (error) {
      throw isCode(error, 'ALREADY_EXISTS') ? notDirectory(made, what, error) : error;
    } finally {
      close(fd);
    }
  }
}

function isDirectory(root: Root, path: string, what: string): boolean {
  try {
    close(root.open(toBytes(path), O_PATH | O_DIRECTORY));
    return true;
  } catch (error) {
    if (isCode(error, 'NOT_FOUND')) return false;
    throw isCode(error, 'FAILED_PRECONDITION') ? notDirectory(path, what, error) : error;
  }
}

const notDirectory = (path: string, what: string, cause: unknown): MicaError =>
  new MicaError('FAILED_PRECONDITION', `${what} ${path} of the container is not a directory`, {
    cause,
  });

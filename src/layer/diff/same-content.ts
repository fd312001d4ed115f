import { close, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, openat } from '../../sys/at.ts';
import { pread } from '../../sys/file.ts';
import type { FileStat } from '../../sys/stat.ts';
import type { Pace } from '../../io/pace.ts';
import type { Content } from './lower-content.ts';

/** What is read at once, in bytes. */
const PIECE = 256 * 1024;
const [HERE, THERE] = [Buffer.allocUnsafeSlow(PIECE), Buffer.allocUnsafeSlow(PIECE)];

/** A regular file of the tree, as a name in an open directory. */
interface TreeFile {
  readonly dirfd: number;
  readonly name: string;
  readonly path: string;
  readonly stat: FileStat;
}

/**
 * Whether a file has the content that the layers below have for it, which is as long.
 * @param below - `undefined`: nobody has it any more, so that it counts as different
 */
export async function sameContent(
  { dirfd, name, path, stat }: TreeFile,
  below: Content | undefined,
  pace: Pace,
): Promise<boolean> {
  if (stat.size === 0) return true;
  if (below === undefined) return false;
  const fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  try {
    for (let offset = 0; offset < stat.size; offset += PIECE) {
      if (pace.due) await pace.rest();
      const length = Math.min(PIECE, stat.size - offset);
      const [a, b] = [HERE.subarray(0, length), THERE.subarray(0, length)];
      if (pread(fd, a, offset, path) < length || !below.read(offset, b)) return false;
      if (!a.equals(b)) return false;
    }
    return true;
  } finally {
    close(fd);
  }
}

import { fileURLToPath } from 'node:url';
import type { Afterwards } from '../../runtime/order.ts';
import { directoryOf } from '../../container/directory.ts';

/** Runs from source and built: its neighbour has the same ending. */
const ENDED = new URL(
  import.meta.url.endsWith('.ts') ? './ended.ts' : './ended.js',
  import.meta.url,
);

/**
 * Waits until whoever attends the container has done what is to do, or died, and does it where it
 * was not: $0 is the container's directory, the rest a command. Without flock(1) nobody waits, and
 * both may do it, in turn.
 */
const SCRIPT =
  'cd "$0" || exit 0; [ ! -e attended.lock ] || flock attended.lock true; [ -e unsettled ] || exit 0; exec "$@"';

/** What a container's monitor does when the container has ended. */
export function afterwards(root: string, id: string): Afterwards {
  const { path, unsettled } = directoryOf(root, id);
  const node = [process.execPath, '--disable-warning=ExperimentalWarning'];
  return {
    mark: unsettled,
    command: ['/bin/sh', '-c', SCRIPT, path, ...node, fileURLToPath(ENDED), root, id],
  };
}

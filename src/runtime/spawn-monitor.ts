import type { Socket } from 'node:net';
import { endingOf } from '../sys/children.ts';
import { socketPair } from '../sys/pipe.ts';
import { spawnProgram } from '../sys/spawn.ts';

/** Runs from source and built: its neighbour has the same ending. */
const MONITOR = new URL(
  import.meta.url.endsWith('.ts') ? './monitor.ts' : './monitor.js',
  import.meta.url,
);

/** What it holds is little; it shall not take more because the machine has more. */
const FLAGS = [
  '--max-semi-space-size=1',
  '--max-old-space-size=64',
  '--v8-pool-size=0',
  '--disable-warning=ExperimentalWarning',
];

/** Starts the process of a monitor. @returns the socket to it; when that is closed before an order came, it ends */
export function spawnMonitor(): Socket {
  // Not imported, so that nothing is loaded before this runs.
  const { closeSync, openSync } = process.getBuiltinModule('node:fs');
  const { getCompileCacheDir } = process.getBuiltinModule('node:module');
  const net = process.getBuiltinModule('node:net');
  const path = process.getBuiltinModule('node:path');
  const { fileURLToPath } = process.getBuiltinModule('node:url');
  const cache = getCompileCacheDir();
  const nothing = openSync('/dev/null', 'r+');
  const [ours, theirs] = socketPair();
  try {
    const pid = spawnProgram({
      path: process.execPath,
      args: [...FLAGS, fileURLToPath(MONITOR)],
      env: {
        UV_THREADPOOL_SIZE: '1',
        ...(cache !== undefined && { NODE_COMPILE_CACHE: path.dirname(cache) }),
      },
      fds: [nothing, nothing, nothing, theirs],
      ownSession: true,
    });
    endingOf(pid).catch(() => undefined);
  } catch (error) {
    closeSync(ours);
    throw error;
  } finally {
    closeSync(nothing);
    closeSync(theirs);
  }
  const socket = new net.Socket({ fd: ours, readable: true, writable: true });
  socket.on('error', () => socket.destroy());
  return socket;
}

import type { ChildProcess } from 'node:child_process';

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

/** The process of a monitor, and in `stdio[3]` the socket to it. When that is closed before an order came, it ends. */
export function spawnMonitor(): ChildProcess {
  // Not imported, so that nothing of ours is loaded before this runs.
  const { spawn } = process.getBuiltinModule('node:child_process');
  const { getCompileCacheDir } = process.getBuiltinModule('node:module');
  const path = process.getBuiltinModule('node:path');
  const { fileURLToPath } = process.getBuiltinModule('node:url');
  const cache = getCompileCacheDir();
  const child = spawn(process.execPath, [...FLAGS, fileURLToPath(MONITOR)], {
    // Of a session of its own: it outlives the terminal.
    detached: true,
    cwd: '/',
    env: {
      UV_THREADPOOL_SIZE: '1',
      ...(cache !== undefined && { NODE_COMPILE_CACHE: path.dirname(cache) }),
    },
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
  });
  child.unref();
  // Told by the socket, which then ends.
  child.once('error', () => undefined);
  const socket = child.stdio[3]!;
  socket.on('error', () => socket.destroy());
  return child;
}

import type { Socket } from 'node:net';
import { compiledDirectory } from '../code/directory.ts';
import { endingOf } from '../sys/children.ts';
import { socketPair } from '../sys/pipe.ts';
import { spawnProgram } from '../sys/spawn.ts';

const FROM_SOURCE = import.meta.url.endsWith('.ts');

const MONITOR = new URL(FROM_SOURCE ? './monitor.ts' : './monitor.js', import.meta.url);

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
  const { fileURLToPath } = process.getBuiltinModule('node:url');
  const cache = compileCache();
  const nothing = openSync('/dev/null', 'r+');
  const [ours, theirs] = socketPair();
  try {
    const pid = spawnProgram({
      path: process.execPath,
      args: [...FLAGS, fileURLToPath(MONITOR)],
      env: {
        UV_THREADPOOL_SIZE: '1',
        ...(cache !== undefined && { NODE_COMPILE_CACHE: cache }),
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
  // It loads already.
  const { Socket: Connection } = process.getBuiltinModule('node:net');
  const socket = new Connection({ fd: ours, readable: true, writable: true });
  socket.on('error', () => socket.destroy());
  return socket;
}

/** Node's cache of this process, if it has one. Built, the monitor keeps its code itself, and does without. */
function compileCache(): string | undefined {
  const { getCompileCacheDir } = process.getBuiltinModule('node:module');
  const own = getCompileCacheDir();
  if (own !== undefined) return process.getBuiltinModule('node:path').dirname(own);
  return FROM_SOURCE ? compiledDirectory() : undefined;
}

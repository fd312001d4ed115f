import { spawn } from 'node:child_process';
import { getCompileCacheDir } from 'node:module';
import type { Socket } from 'node:net';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { MicaError } from '../errors.ts';
import { type Attachment, attachmentOf, errorOf, Incoming, parseControl } from './attachment.ts';
import { frame, type FromMonitor, STREAM } from './frame.ts';
import type { ExecOrder, Order, RemoveOrder, RunOrder } from './order.ts';

/**
 * A monitor that waits for its order. Starting one takes longer than starting a container: do it
 * first, and prepare the container meanwhile. Disposing of it before it has an order ends it; later
 * it does nothing.
 */
export interface MonitorProcess extends Disposable {
  /** @throws StartError; CONFLICT when the container runs already */
  run(order: RunOrder): Promise<Started>;
  /** @throws StartError */
  exec(order: ExecOrder): Promise<Started>;
  remove(order: RemoveOrder): Promise<void>;
}

export interface Started extends Attachment {
  readonly pid: number;
}

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

export function startMonitor(): MonitorProcess {
  const cache = getCompileCacheDir();
  const child = spawn(process.execPath, [...FLAGS, fileURLToPath(MONITOR)], {
    // Of a session of its own: it outlives the terminal.
    detached: true,
    cwd: '/',
    env: {
      UV_THREADPOOL_SIZE: '1',
      ...(cache !== undefined && { NODE_COMPILE_CACHE: dirname(cache) }),
    },
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
  });
  child.unref();
  // Told by the socket, which then ends.
  child.once('error', () => undefined);
  const socket = child.stdio[3] as unknown as Socket;
  socket.on('error', () => socket.destroy());
  const incoming = new Incoming(socket);
  let ordered = false;
  const give = async (order: Order): Promise<FromMonitor> => {
    ordered = true;
    socket.write(frame(STREAM.control, Buffer.from(JSON.stringify({ type: 'order', order }))));
    const answer = await incoming.next();
    if (answer === undefined)
      throw new MicaError('INTERNAL', `the monitor of container ${order.id} ended without a word`);
    const message = parseControl(answer);
    if (message.type === 'failed') {
      socket.destroy();
      throw errorOf(message.failure);
    }
    return message;
  };
  const start = async (order: RunOrder | ExecOrder): Promise<Started> => {
    const message = await give(order);
    const pid = message.type === 'started' ? message.pid : 0;
    return Object.assign(attachmentOf(socket, incoming), { pid });
  };
  return {
    run: start,
    exec: start,
    async remove(order) {
      await give(order);
      socket.destroy();
    },
    [Symbol.dispose]() {
      if (!ordered) socket.destroy();
    },
  };
}

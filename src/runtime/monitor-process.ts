import type { Socket } from 'node:net';
import { MicaError } from '../errors.ts';
import { type Attachment, attachmentOf, errorOf, Incoming, parseControl } from './attachment.ts';
import { frame, type FromMonitor, STREAM } from './frame.ts';
import type { ExecOrder, Order, RemoveOrder, RunOrder } from './order.ts';
import { spawnMonitor } from './spawn-monitor.ts';

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

/** @param socket - from {@link spawnMonitor}, in the caller's hands until now */
export function startMonitor(socket: Socket = spawnMonitor()): MonitorProcess {
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

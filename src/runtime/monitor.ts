import { Socket } from 'node:net';
import { closeInherited } from '../sys/inherited-fds.ts';
import { becomeSubreaper } from '../sys/process.ts';
import { controlFrame, FrameReader } from './frame.ts';
import type { Order } from './order.ts';
import { runExec } from './monitor/exec.ts';
import { failureOf } from './monitor/failure-of.ts';
import { remove } from './monitor/remove.ts';
import { runContainer } from './monitor/run.ts';

/**
 * The process that watches one container, or one process that was started in it later: its parent,
 * the keeper of its log, and the one to whom clients connect. It is started by whoever wants a
 * container, told what to do over descriptor 3, and ends by itself.
 */

/** The descriptor of the socket to who started us. */
const LINK = 3;

// Not where we were started: that may be unmounted, or removed.
process.chdir('/');
// A container ends by its own signals, whoever starts or ends the terminal or the session we came from.
for (const signal of ['SIGHUP', 'SIGINT', 'SIGTERM'] as const) process.on(signal, () => undefined);
// Whoever started us may have left more open than it meant to, and a container must get none of it.
closeInherited(LINK);
// Loads the native binding, too, while the order is still being made.
becomeSubreaper();

const link = new Socket({ fd: LINK, readable: true, writable: true });
void receiveOrder(link)
  .then(obey)
  .catch((error: unknown) => {
    link.end(controlFrame({ type: 'failed', failure: failureOf(error) }));
  });

async function obey(given: Order | undefined): Promise<void> {
  if (given === undefined) return;
  if (given.kind === 'run') await runContainer(given, link);
  else if (given.kind === 'exec') await runExec(given, link);
  else await remove(given, link);
}

/** @returns `undefined` when who started us has changed its mind, or died */
function receiveOrder(socket: Socket): Promise<Order | undefined> {
  const { promise, resolve } = Promise.withResolvers<Order | undefined>();
  const reader = new FrameReader();
  const receive = (chunk: Buffer): void => {
    for (const { data } of reader.push(chunk)) {
      socket.off('data', receive);
      resolve((JSON.parse(data.toString()) as { order: Order }).order);
    }
  };
  socket.on('data', receive);
  socket.once('error', () => resolve(undefined));
  socket.once('close', () => resolve(undefined));
  socket.once('end', () => {
    socket.end();
    resolve(undefined);
  });
  return promise;
}

import { closeSync, openSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { MicaError } from '../errors.ts';
import { fromNode } from '../sys/errno.ts';
import { type Attachment, attachmentOf, type Exit, Incoming } from './attachment.ts';
import { controlFrame } from './frame.ts';
import { readState, RUN_FILES } from './state.ts';

/**
 * Connects to the running container of `directory`.
 * @param options - `output`: default true; otherwise only its end is told
 * @throws FAILED_PRECONDITION when it does not run
 */
export async function attach(
  directory: string,
  { output = true }: { readonly output?: boolean } = {},
): Promise<Attachment> {
  const socket = await connectTo(directory);
  if (socket === undefined)
    throw new MicaError('FAILED_PRECONDITION', 'the container is not running; start it first');
  socket.on('error', () => socket.destroy());
  socket.write(controlFrame({ type: 'attach', output }));
  return attachmentOf(socket, new Incoming(socket));
}

/**
 * Waits until the container of `directory` does not run.
 * @returns `undefined` when it never did, or nobody knows how it ended
 */
export async function waitForExit(
  directory: string,
  signal?: AbortSignal,
): Promise<Exit | undefined> {
  for (;;) {
    signal?.throwIfAborted();
    const state = await readState(directory);
    if (state.status === 'exited') return state;
    if (state.status === 'created' || state.status === 'dead') return undefined;
    const socket = await connectTo(directory);
    if (socket === undefined) {
      // It begins, or ends, at this moment.
      await setTimeout(5);
      continue;
    }
    socket.on('error', () => socket.destroy());
    const stop = (): void => void socket.destroy();
    signal?.addEventListener('abort', stop);
    const looking = setInterval(() => void lookForEnd(directory, socket), LOOK);
    try {
      // While it connected nobody listened for that.
      signal?.throwIfAborted();
      socket.write(controlFrame({ type: 'attach', output: false }));
      const attachment = attachmentOf(socket, new Incoming(socket));
      for await (const _ of attachment.output);
      const exit = await attachment.exit.catch(() => undefined);
      if (exit !== undefined) return exit;
    } finally {
      clearInterval(looking);
      signal?.removeEventListener('abort', stop);
      socket.destroy();
    }
  }
}

/** In milliseconds. */
const LOOK = 500;

/** What is written down ends the wait, too: a monitor may be gone without its connection telling so. */
async function lookForEnd(directory: string, socket: Socket): Promise<void> {
  const { status } = await readState(directory).catch(() => ({ status: 'unknown' }));
  if (status !== 'running' && status !== 'paused' && status !== 'starting') socket.destroy();
}

/** Nobody listens, any more: a monitor that ends resets whom it has not accepted. */
const GONE: ReadonlySet<string> = new Set(['ENOENT', 'ECONNREFUSED', 'ECONNRESET']);

/** @returns `undefined` when nobody listens */
async function connectTo(directory: string): Promise<Socket | undefined> {
  const home = openDirectory(directory);
  try {
    // By descriptor: the name of a socket has room for 107 bytes.
    const socket = connect(`/proc/self/fd/${home}/${RUN_FILES.socket}`);
    const { promise, resolve, reject } = Promise.withResolvers<Socket | undefined>();
    socket.once('connect', () => resolve(socket));
    socket.once('error', (error: NodeJS.ErrnoException) => {
      if (GONE.has(error.code ?? '')) resolve(undefined);
      else reject(fromNode(error));
    });
    return await promise;
  } finally {
    closeSync(home);
  }
}

function openDirectory(directory: string): number {
  try {
    return openSync(directory, 'r');
  } catch (error) {
    throw fromNode(error);
  }
}

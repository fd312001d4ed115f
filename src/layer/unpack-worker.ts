import { parentPort } from 'node:worker_threads';
import { sendError } from '../io/sent-error.ts';
import { hasKernel } from '../sys/binding.ts';
import { dropUmask } from '../sys/file.ts';
import { Available } from './available.ts';
import { Stopped } from './follow.ts';
import { unpackLayer } from './unpack-layer.ts';
import { unpackMemory } from './unpack-memory.ts';
import type { UnpackMessage, UnpackRequest } from './unpack-message.ts';

/** The entry of a thread that does one job after the other. */

const port = parentPort!;
const send = (message: UnpackMessage): void => port.postMessage(message);
const memory = unpackMemory();
const exactModes = hasNoUmask();

async function work({ job, available }: UnpackRequest): Promise<void> {
  try {
    const result = await unpackLayer(job, {
      available: new Available(available),
      exactModes,
      memory,
      onProgress: (bytes) => send({ type: 'progress', bytes }),
    });
    send({ type: 'done', result });
  } catch (error) {
    if (error instanceof Stopped) send({ type: 'stopped' });
    else send({ type: 'failed', error: sendError(error) });
  }
}

port.on('message', (request: UnpackRequest) => void work(request));

function hasNoUmask(): boolean {
  try {
    if (hasKernel()) dropUmask();
    return hasKernel();
  } catch {
    return false;
  }
}

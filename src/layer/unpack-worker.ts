import { parentPort, workerData } from 'node:worker_threads';
import { sendError } from '../io/sent-error.ts';
import { hasKernel } from '../sys/binding.ts';
import { dropUmask } from '../sys/file.ts';
import { beEndedPolitely } from '../sys/undisturbed.ts';
import { Available } from './available.ts';
import { Stopped } from './follow.ts';
import { unpackLayer } from './unpack-layer.ts';
import { type UnpackMemory, unpackMemory } from './unpack-memory.ts';
import type { UnpackMessage, UnpackNews, UnpackRequest } from './unpack-message.ts';

/** The entry of a thread that does jobs as they come: it goes on with another one where one waits. */

beEndedPolitely(workerData as Int32Array);
const port = parentPort!;
/** Of jobs that are over. */
const spare: UnpackMemory[] = [];
const exactModes = hasNoUmask();

async function work({ id, job, available }: UnpackRequest): Promise<void> {
  const send = (news: UnpackNews): void =>
    port.postMessage({ id, ...news } satisfies UnpackMessage);
  const memory = spare.pop() ?? unpackMemory();
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
  } finally {
    spare.push(memory);
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

import { parentPort } from 'node:worker_threads';
import { hasKernel } from '../sys/binding.ts';
import { dropUmask } from '../sys/file.ts';
import { Available } from './available.ts';
import { Stopped } from './follow.ts';
import { unpackLayer } from './unpack-layer.ts';
import { sendError, type UnpackMessage, type UnpackRequest } from './unpack-message.ts';

/** The entry of a thread that does one job after the other. */

const port = parentPort!;
const send = (message: UnpackMessage): void => port.postMessage(message);
let exactModes: boolean | undefined;

port.on('message', ({ job, available }: UnpackRequest) => {
  try {
    exactModes ??= hasNoUmask();
    const result = unpackLayer(job, {
      available: new Available(available),
      exactModes,
      onProgress: (bytes) => send({ type: 'progress', bytes }),
    });
    send({ type: 'done', result });
  } catch (error) {
    if (error instanceof Stopped) send({ type: 'stopped' });
    else send({ type: 'failed', error: sendError(error) });
  }
});

function hasNoUmask(): boolean {
  try {
    if (hasKernel()) dropUmask();
    return hasKernel();
  } catch {
    return false;
  }
}

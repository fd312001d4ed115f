import { Worker, type WorkerOptions } from 'node:worker_threads';
import { endLoading, newState } from './undisturbed.ts';

/** Threads that load native code: what they share with {@link endLoading}, until they have ended. */
const states = new Map<Worker, Int32Array>();

/**
 * Starts a thread whose entry calls `beEndedPolitely(workerData)` first.
 * It is ended by {@link endThread}, or with the process.
 */
export function startThread(entry: URL, options: Omit<WorkerOptions, 'workerData'>): Worker {
  const state = newState();
  const worker = new Worker(entry, { ...options, workerData: state });
  if (states.size === 0) process.on('exit', endAll);
  states.set(worker, state);
  worker.once('exit', () => {
    states.delete(worker);
    if (states.size === 0) process.off('exit', endAll);
  });
  return worker;
}

/** Resolves when the thread has ended, wherever it was. */
export async function endThread(worker: Worker): Promise<void> {
  const state = states.get(worker);
  if (state !== undefined) endLoading(state);
  await worker.terminate();
}

function endAll(): void {
  for (const state of states.values()) endLoading(state);
}

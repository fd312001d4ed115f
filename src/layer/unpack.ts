import { getCompileCacheDir } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { MicaError } from '../errors.ts';
import { receiveError } from '../io/sent-error.ts';
import { Available } from './available.ts';
import type { UnpackJob, UnpackResult } from './unpack-job.ts';
import type { UnpackMessage, UnpackRequest } from './unpack-message.ts';

/** Unpacks layers in worker threads, a few at once. */
export interface Unpacker extends AsyncDisposable {
  /** Starts workers for so many jobs now, as far as there may be, so that the first ones need not wait for them. */
  warm(jobs: number): void;
  /**
   * Does a job as soon as a worker is free. When it ends with an error, or is aborted, the job's
   * directory holds pieces that must be removed; nothing writes there any more.
   */
  unpack(job: UnpackJob, options?: UnpackJobOptions): Promise<UnpackResult>;
}

export interface UnpackJobOptions {
  /** How much of the blob is there; default: all of it. After its `fail` the job rejects with UNAVAILABLE. */
  readonly available?: Available;
  readonly signal?: AbortSignal | undefined;
  /** Bytes of the blob that are done. */
  readonly onProgress?: (bytes: number) => void;
}

export interface UnpackerOptions {
  /** Threads at most. Default: one a processor, four at most. */
  readonly workers?: number;
}

/** More would compete for the disk, and each takes some 20 MiB. */
const MAX_WORKERS = 4;

/** What a hostile layer may make a worker take before it is refused. In MiB. */
const LIMITS = { maxOldGenerationSizeMb: 1536, maxYoungGenerationSizeMb: 8, stackSizeMb: 4 };

/**
 * How long a worker is kept that has nothing to do, in milliseconds: it holds the memory of its last
 * layer, but the next layer of an image comes at once.
 */
const LINGER = 50;

/** Runs from source and built: its neighbour has the same ending. */
const WORKER = new URL(
  import.meta.url.endsWith('.ts') ? './unpack-worker.ts' : './unpack-worker.js',
  import.meta.url,
);

export function openUnpacker(options: UnpackerOptions = {}): Unpacker {
  return new WorkerPool(options.workers ?? Math.min(availableParallelism(), MAX_WORKERS));
}

/** A job and whoever waits for it. */
interface Task {
  readonly job: UnpackJob;
  readonly available: Available;
  readonly onProgress: ((bytes: number) => void) | undefined;
  readonly resolve: (result: UnpackResult) => void;
  readonly reject: (error: unknown) => void;
}

class WorkerPool implements Unpacker {
  readonly #limit: number;
  readonly #idle: Worker[] = [];
  readonly #busy = new Map<Worker, Task>();
  readonly #waiting: Task[] = [];
  #closed = false;

  constructor(limit: number) {
    this.#limit = limit;
  }

  warm(jobs: number): void {
    while (this.#idle.length < jobs && this.#hasRoom()) this.#idle.push(this.#start());
  }

  async unpack(job: UnpackJob, options: UnpackJobOptions = {}): Promise<UnpackResult> {
    const { signal, available = Available.complete(job.size), onProgress } = options;
    signal?.throwIfAborted();
    if (this.#closed) throw new MicaError('FAILED_PRECONDITION', 'the unpacker is closed');
    const { promise, resolve, reject } = Promise.withResolvers<UnpackResult>();
    const task: Task = { job, available, onProgress, resolve, reject };
    const abort = (): void => {
      available.fail();
      const at = this.#waiting.indexOf(task);
      if (at >= 0) this.#waiting.splice(at, 1);
      if (at >= 0) reject(signal?.reason);
    };
    signal?.addEventListener('abort', abort, { once: true });
    this.#waiting.push(task);
    this.#next();
    try {
      return await promise;
    } catch (error) {
      throw signal?.aborted ? signal.reason : error;
    } finally {
      signal?.removeEventListener('abort', abort);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    for (const task of this.#waiting.splice(0)) task.reject(stopped());
    for (const { available } of this.#busy.values()) available.fail();
    const workers = [...this.#idle.splice(0), ...this.#busy.keys()];
    await Promise.all(workers.map((worker) => worker.terminate()));
  }

  #hasRoom(): boolean {
    return !this.#closed && this.#idle.length + this.#busy.size < this.#limit;
  }

  #next(): void {
    while (this.#waiting.length > 0 && (this.#idle.length > 0 || this.#hasRoom())) {
      const task = this.#waiting.shift()!;
      const worker = this.#idle.pop() ?? this.#start();
      this.#busy.set(worker, task);
      worker.ref();
      const request: UnpackRequest = { job: task.job, available: task.available.shared };
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, no window
      worker.postMessage(request);
    }
  }

  #start(): Worker {
    // Options of the program may be about its own source (`--input-type`): it would not start with them.
    const options = {
      resourceLimits: LIMITS,
      name: 'mica-unpack',
      execArgv: [],
      ...keepingCompiled(),
    };
    const worker = new Worker(WORKER, options);
    worker.unref();
    worker.on('message', (message: UnpackMessage) => this.#hear(worker, message));
    worker.on('error', (error: Error & { code?: string }) => this.#lose(worker, lost(error)));
    worker.on('exit', () => this.#lose(worker, stopped()));
    return worker;
  }

  #hear(worker: Worker, message: UnpackMessage): void {
    const task = this.#busy.get(worker);
    if (message.type === 'progress') return task?.onProgress?.(message.bytes);
    this.#busy.delete(worker);
    this.#idle.push(worker);
    worker.unref();
    if (message.type === 'done') task?.resolve(message.result);
    else task?.reject(message.type === 'failed' ? receiveError(message.error) : stopped());
    this.#next();
    if (this.#idle.includes(worker)) setTimeout(() => this.#dismiss(worker), LINGER).unref();
  }

  #dismiss(worker: Worker): void {
    const at = this.#idle.indexOf(worker);
    if (at < 0) return;
    this.#idle.splice(at, 1);
    void worker.terminate();
  }

  /** The thread is gone; its job ends, others go on in another one. */
  #lose(worker: Worker, error: Error): void {
    const idle = this.#idle.indexOf(worker);
    if (idle >= 0) this.#idle.splice(idle, 1);
    this.#busy.get(worker)?.reject(error);
    this.#busy.delete(worker);
    this.#next();
  }
}

/**
 * A thread keeps what it compiled where the program does, which it can be told by its environment
 * only. It needs nothing else of that.
 */
function keepingCompiled(): { readonly env?: NodeJS.ProcessEnv } {
  const cache = getCompileCacheDir();
  // The directory that is named is one of Node's version below the one that was asked for.
  return cache === undefined ? {} : { env: { NODE_COMPILE_CACHE: dirname(cache) } };
}

const stopped = (): MicaError =>
  new MicaError('UNAVAILABLE', 'unpacking was stopped: the rest of the layer does not come');

function lost(error: Error & { code?: string }): MicaError {
  const cause = { cause: error };
  if (error.code === 'ERR_WORKER_OUT_OF_MEMORY')
    return new MicaError('RESOURCE_EXHAUSTED', 'unpacking a layer took too much memory', cause);
  return new MicaError('INTERNAL', `unpacking failed: ${error.message}`, cause);
}

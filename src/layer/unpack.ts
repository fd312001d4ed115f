import { getCompileCacheDir } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname } from 'node:path';
import type { ResourceLimits, Worker } from 'node:worker_threads';
import { MicaError } from '../errors.ts';
import { receiveError } from '../io/sent-error.ts';
import { isOfChain } from '../snapshot/driver.ts';
import { endThread, startThread } from '../sys/thread.ts';
import { Available } from './available.ts';
import { SMALL_BLOB, type UnpackJob, type UnpackResult } from './unpack-job.ts';
import type { UnpackMessage, UnpackRequest } from './unpack-message.ts';

/**
 * Unpacks layers in worker threads, a few at once. A thread takes what a hundred small layers take,
 * so these share one with each other, and with a larger one.
 */
export interface Unpacker extends AsyncDisposable {
  /**
   * Starts the workers that blobs of these sizes will have, so that the first ones need not wait for
   * them; one in any case.
   */
  warm(sizes: readonly number[]): void;
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
  /** What a worker's heap may hold, in MiB. Default: 1536. */
  readonly heap?: number;
}

/** More would compete for the disk, and each takes some 20 MiB. */
const MAX_WORKERS = 4;

/** What a hostile layer may make a worker take before it is refused. In MiB. */
const HEAP = 1536;
const LIMITS = { maxYoungGenerationSizeMb: 8, stackSizeMb: 4 };

/**
 * How long a worker is kept that has nothing to do, in milliseconds: it holds the memory of its last
 * layer, but the next layer of an image comes at once. The last worker may have to wait for a network.
 */
const [LINGER, LINGER_LAST] = [50, 1000];

/** Runs from source and built: its neighbour has the same ending. */
const WORKER = new URL(
  import.meta.url.endsWith('.ts') ? './unpack-worker.ts' : './unpack-worker.js',
  import.meta.url,
);

export function openUnpacker(options: UnpackerOptions = {}): Unpacker {
  const { workers = Math.min(availableParallelism(), MAX_WORKERS), heap = HEAP } = options;
  return new WorkerPool(workers, { ...LIMITS, maxOldGenerationSizeMb: heap });
}

/** Small jobs that a thread is given at once. */
const SHARERS = 4;

/** A thread and what it is at, by number. */
interface Thread {
  readonly worker: Worker;
  readonly tasks: Map<number, Task>;
  /** Ends it, while it has nothing to do. */
  leave?: NodeJS.Timeout;
}

/** A job and whoever waits for it. */
interface Task {
  readonly id: number;
  readonly job: UnpackJob;
  /** Waits for nothing, and is done in a moment. */
  readonly small: boolean;
  /** Has a thread for itself. */
  alone: boolean;
  readonly available: Available;
  readonly onProgress: ((bytes: number) => void) | undefined;
  readonly resolve: (result: UnpackResult) => void;
  readonly reject: (error: unknown) => void;
}

class WorkerPool implements Unpacker {
  readonly #limit: number;
  readonly #resources: ResourceLimits;
  readonly #threads: Thread[] = [];
  readonly #waiting: Task[] = [];
  #lastId = 0;
  #closed = false;

  constructor(limit: number, resources: ResourceLimits) {
    this.#limit = limit;
    this.#resources = resources;
  }

  warm(sizes: readonly number[]): void {
    const wanted = Math.max(1, sizes.filter((size) => size > SMALL_BLOB).length);
    const idle = (): number => this.#threads.filter(({ tasks }) => tasks.size === 0).length;
    while (idle() < wanted && this.#hasRoom()) this.#start();
  }

  async unpack(job: UnpackJob, options: UnpackJobOptions = {}): Promise<UnpackResult> {
    const { signal, available = Available.complete(job.size), onProgress } = options;
    signal?.throwIfAborted();
    if (this.#closed) throw new MicaError('FAILED_PRECONDITION', 'the unpacker is closed');
    const { promise, resolve, reject } = Promise.withResolvers<UnpackResult>();
    const task: Task = {
      id: ++this.#lastId,
      job,
      small: job.size <= SMALL_BLOB && available.ended,
      // What it is applied onto cannot be had a second time.
      alone: isOfChain(job.form),
      available,
      onProgress,
      resolve,
      reject,
    };
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
    for (const { tasks } of this.#threads)
      for (const { available } of tasks.values()) available.fail();
    await Promise.all(this.#threads.map(({ worker }) => endThread(worker)));
  }

  #hasRoom(): boolean {
    return !this.#closed && this.#threads.length < this.#limit;
  }

  #next(): void {
    for (const task of this.#waiting.slice()) {
      const thread = this.#threadFor(task);
      if (thread === undefined) continue;
      this.#waiting.splice(this.#waiting.indexOf(task), 1);
      thread.tasks.set(task.id, task);
      clearTimeout(thread.leave);
      thread.worker.ref();
      const { id, job, available } = task;
      const request: UnpackRequest = { id, job, available: available.shared };
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, no window
      thread.worker.postMessage(request);
    }
  }

  /** The one with the least to do among those that may take it. */
  #threadFor(task: Task): Thread | undefined {
    const [best] = this.#threads
      .filter(({ tasks }) => mayJoin(task, tasks))
      .sort((one, other) => one.tasks.size - other.tasks.size);
    const isGood = best !== undefined && (task.small || best.tasks.size === 0);
    return !isGood && this.#hasRoom() ? this.#start() : best;
  }

  #start(): Thread {
    // Options of the program may be about its own source (`--input-type`): it would not start with them.
    const options = {
      resourceLimits: this.#resources,
      name: 'mica-unpack',
      execArgv: [],
      ...keepingCompiled(),
    };
    const worker = startThread(WORKER, options);
    const thread: Thread = { worker, tasks: new Map() };
    this.#threads.push(thread);
    worker.unref();
    worker.on('message', (message: UnpackMessage) => this.#hear(thread, message));
    worker.on('error', (error: Error & { code?: string }) => this.#lose(thread, lost(error)));
    worker.on('exit', () => this.#lose(thread, stopped()));
    return thread;
  }

  #hear(thread: Thread, message: UnpackMessage): void {
    const { tasks, worker } = thread;
    const task = tasks.get(message.id);
    if (message.type === 'progress') return task?.onProgress?.(message.bytes);
    tasks.delete(message.id);
    if (tasks.size === 0) worker.unref();
    if (message.type === 'done') task?.resolve(message.result);
    else task?.reject(message.type === 'failed' ? receiveError(message.error) : stopped());
    this.#next();
    if (tasks.size > 0) return;
    const linger = this.#threads.length > 1 ? LINGER : LINGER_LAST;
    thread.leave = setTimeout(() => this.#dismiss(thread), linger).unref();
  }

  #dismiss(thread: Thread): void {
    const at = this.#threads.indexOf(thread);
    if (at < 0 || thread.tasks.size > 0) return;
    this.#threads.splice(at, 1);
    void endThread(thread.worker);
  }

  /** The thread is gone; its job ends, others go on in another one. */
  #lose(thread: Thread, error: Error): void {
    const at = this.#threads.indexOf(thread);
    if (at >= 0) this.#threads.splice(at, 1);
    const tasks = [...thread.tasks.values()];
    thread.tasks.clear();
    // Nobody knows which of several it was: each is done again, alone.
    const again = tasks.length > 1 && !this.#closed;
    for (const task of tasks) {
      task.alone = true;
      if (again) this.#waiting.unshift(task);
      else task.reject(error);
    }
    this.#next();
  }
}

function mayJoin(task: Task, tasks: Thread['tasks']): boolean {
  if (tasks.size === 0) return true;
  const others = [...tasks.values()];
  if (task.alone || others.some(({ alone }) => alone)) return false;
  return task.small ? others.length < SHARERS : others.every(({ small }) => small);
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

import type { Worker } from 'node:worker_threads';
import { MicaError } from '../../errors.ts';
import type { Abortable } from '../../io/bytes.ts';
import { receiveError, type SentError } from '../../io/sent-error.ts';
import { endThread, startThread } from '../../sys/thread.ts';
import type { Finding, Found } from './find-recipe.ts';
import type { Following } from './follow-recipe.ts';

export type RecipeJob =
  | ({ readonly kind: 'find' } & Finding)
  /** `into`: the file that gets the blob. */
  | ({ readonly kind: 'follow'; readonly into: string } & Following);

export interface RecipeAnswer {
  readonly found?: Found;
  readonly error?: SentError;
}

/** Runs from source and built: its neighbour has the same ending. */
const WORKER = new URL(
  import.meta.url.endsWith('.ts') ? './recipe-worker.ts' : './recipe-worker.js',
  import.meta.url,
);

/** How the process was started (`node -e`, for one) is nothing to a thread. */
const start = (): Worker => startThread(WORKER, { name: 'mica-recipe', execArgv: [] });

/** A thread for recipes: they take seconds of pure computation. One job at a time. */
export class RecipeThread implements AsyncDisposable {
  #worker: Worker | undefined;

  /** @see findRecipe */
  async find(finding: Finding, options: Abortable = {}): Promise<Found> {
    const { found } = await this.#run({ kind: 'find', ...finding }, options);
    return found!;
  }

  /** Writes the blob to the file `into`, verified when this resolves; until then it holds a part of it. @see followRecipe */
  async follow(following: Following, into: string, options: Abortable = {}): Promise<void> {
    await this.#run({ kind: 'follow', into, ...following }, options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const worker = this.#worker;
    this.#worker = undefined;
    if (worker !== undefined) await endThread(worker);
  }

  async #run(job: RecipeJob, { signal }: Abortable): Promise<RecipeAnswer> {
    signal?.throwIfAborted();
    const worker = (this.#worker ??= start());
    worker.ref();
    const { promise, resolve, reject } = Promise.withResolvers<RecipeAnswer>();
    const stop = (): void => reject(signal?.reason as Error);
    const exit = (): void => reject(new MicaError('UNAVAILABLE', 'making blobs was stopped'));
    signal?.addEventListener('abort', stop, { once: true });
    worker.on('message', resolve).on('error', reject).on('exit', exit);
    try {
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, no window
      worker.postMessage(job);
      const answer = await promise;
      if (answer.error !== undefined) throw receiveError(answer.error);
      return answer;
    } catch (error) {
      // Whatever it does now is not wanted any more.
      if (this.#worker === worker) this.#worker = undefined;
      await endThread(worker);
      throw error;
    } finally {
      signal?.removeEventListener('abort', stop);
      worker.unref();
      worker.off('message', resolve).off('error', reject).off('exit', exit);
    }
  }
}

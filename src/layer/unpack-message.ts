import type { SentError } from '../io/sent-error.ts';
import type { UnpackJob, UnpackResult } from './unpack-job.ts';

/** From the pool to a worker: one job. */
export interface UnpackRequest {
  /** Every message about the job has it. */
  readonly id: number;
  readonly job: UnpackJob;
  /** Of an `Available`. */
  readonly available: SharedArrayBuffer;
}

/** From a worker to the pool; every job ends with one that is no progress. */
export type UnpackMessage = { readonly id: number } & UnpackNews;

export type UnpackNews =
  | { readonly type: 'progress'; readonly bytes: number }
  | { readonly type: 'done'; readonly result: UnpackResult }
  /** `Available.fail` was called. */
  | { readonly type: 'stopped' }
  | { readonly type: 'failed'; readonly error: SentError };

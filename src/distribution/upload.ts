import { createHash, type Hash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bytes } from '../io/bytes.ts';
import { algorithmOf, type Digest } from '../oci/digest.ts';
import { Refusal } from './exchange.ts';

/** Chunks of a request body are this small or smaller (64 KiB); they are written together. */
const BATCH = 512 * 1024;
/** In milliseconds. */
const SETTLE = 500;

/**
 * A blob that is being pushed: a file that grows, and the hash of what is in it. It outlives the
 * requests that feed it, so a client that was cut off goes on where it stopped.
 */
export class Upload {
  readonly id: string = randomUUID();
  readonly repository: string;
  readonly path: string;
  /** When a request last touched it, in milliseconds since the epoch. */
  usedAt: number = Date.now();
  /** A chunk arrived that was smaller than the registry's minimum: only the last one may be. */
  short = false;
  #file: FileHandle;
  #hash: Hash = createHash('sha256');
  #offset = 0;
  #maxSize: number;
  /** The request that works on it now: how to stop it, and when it has stopped. */
  #current: { stop: AbortController; done: Promise<void> } | undefined;
  #ended = false;

  private constructor(repository: string, path: string, file: FileHandle, maxSize: number) {
    this.repository = repository;
    this.path = path;
    this.#file = file;
    this.#maxSize = maxSize;
  }

  static async create(repository: string, directory: string, maxSize: number): Promise<Upload> {
    const path = join(directory, randomUUID());
    return new Upload(repository, path, await open(path, 'wx', 0o600), maxSize);
  }

  /** Bytes received. */
  get offset(): number {
    return this.#offset;
  }

  get busy(): boolean {
    return this.#current !== undefined;
  }

  /**
   * Runs `task` alone on this upload. The newest request wins: one whose client was cut off may
   * hang until a timeout, and its successor is that client's next attempt.
   */
  async exclusive<T>(task: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const before = this.#current;
    const stop = new AbortController();
    const { promise: done, resolve } = Promise.withResolvers<void>();
    const mine = { stop, done };
    this.#current = mine;
    try {
      before?.stop.abort(new Refusal(409, 'BLOB_UPLOAD_INVALID', 'another request took over'));
      await before?.done;
      stop.signal.throwIfAborted();
      if (this.#ended)
        throw new Refusal(404, 'BLOB_UPLOAD_UNKNOWN', 'the upload has been completed or cancelled');
      this.usedAt = Date.now();
      return await task(stop.signal);
    } finally {
      this.usedAt = Date.now();
      if (this.#current === mine) this.#current = undefined;
      resolve();
    }
  }

  /**
   * Waits for the request that works on it, but not long: a client that asks how far it got has
   * just lost its connection, and the bytes of that may still be on their way here.
   */
  async settle(): Promise<void> {
    await Promise.race([this.#current?.done, sleep(SETTLE, undefined, { ref: false })]);
  }

  /**
   * Appends what comes; when that is cut off, what came before stays. When another request takes
   * over, it finds the offset that it was told. Only inside {@link exclusive}.
   */
  async append(body: Bytes, signal: AbortSignal): Promise<void> {
    let end = this.#offset;
    let batch: Uint8Array[] = [];
    let size = 0;
    // One write is under way while the next batch arrives.
    let writing = Promise.resolve();
    try {
      for await (const chunk of body) {
        signal.throwIfAborted();
        end += chunk.byteLength;
        this.#checkSize(end);
        batch.push(chunk);
        size += chunk.byteLength;
        if (size < BATCH) continue;
        await writing;
        writing = this.#write(batch, size);
        // Awaited with the next batch, or at the end.
        writing.catch(() => {});
        [batch, size] = [[], 0];
      }
    } finally {
      await writing;
      if (size > 0 && !signal.aborted) await this.#write(batch, size);
    }
  }

  /** Back to `offset` bytes, the hash as it was then. */
  async rollBack(offset: number, hash: Hash): Promise<void> {
    await this.#file.truncate(offset);
    this.#offset = offset;
    this.#hash = hash;
  }

  /** The hash so far, for {@link rollBack}. */
  hashState(): Hash {
    return this.#hash.copy();
  }

  /** @throws a refusal when the bytes do not hash to `digest`; else they are on disk, and the file is closed. */
  async complete(digest: Digest): Promise<void> {
    const found = await this.#digest(digest);
    if (found !== digest)
      throw new Refusal(
        400,
        'DIGEST_INVALID',
        `${this.#offset} bytes arrived that hash to ${found}, not to ${digest}`,
      );
    await this.#file.datasync();
    await this.#file.close();
  }

  /** Stops whoever works on it, then {@link end}s it. Never inside {@link exclusive}. */
  async discard(): Promise<void> {
    this.#ended = true;
    this.#current?.stop.abort(new Refusal(404, 'BLOB_UPLOAD_UNKNOWN', 'the upload was cancelled'));
    await this.#current?.done;
    await this.end();
  }

  /** Forgets the bytes that nobody adopted. Idempotent. */
  async end(): Promise<void> {
    this.#ended = true;
    await this.#file.close();
    await rm(this.path, { force: true });
  }

  #checkSize(size: number): void {
    if (size > this.#maxSize)
      throw new Refusal(
        413,
        'SIZE_INVALID',
        `blobs of more than ${this.#maxSize} bytes are refused`,
      );
  }

  async #write(batch: readonly Uint8Array[], size: number): Promise<void> {
    let rest = batch;
    let at = this.#offset;
    for (let left = size; left > 0;) {
      const { bytesWritten } = await this.#file.writev(rest, at);
      rest = dropBytes(rest, bytesWritten);
      left -= bytesWritten;
      at += bytesWritten;
    }
    for (const chunk of batch) this.#hash.update(chunk);
    this.#offset = at;
  }

  async #digest(wanted: Digest): Promise<Digest> {
    if (algorithmOf(wanted) === 'sha256') return `sha256:${this.#hash.copy().digest('hex')}`;
    // Rare, and not known while the bytes came in.
    const hash = createHash('sha512');
    for await (const chunk of createReadStream(this.path, { highWaterMark: BATCH }))
      hash.update(chunk as Buffer);
    return `sha512:${hash.digest('hex')}`;
  }
}

function dropBytes(chunks: readonly Uint8Array[], count: number): Uint8Array[] {
  const rest: Uint8Array[] = [];
  let skip = count;
  for (const chunk of chunks) {
    if (skip < chunk.byteLength) rest.push(chunk.subarray(skip));
    skip = Math.max(0, skip - chunk.byteLength);
  }
  return rest;
}

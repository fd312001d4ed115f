import type { Abortable, Bytes, Reopenable } from '../io/bytes.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';

/** Where content comes from: a registry repository, the local store, an OCI layout, a docker archive. */
export interface Source {
  /** Streams the content of `target` as it comes, unverified; trust begins in {@link Sink.push} or `fetchAll`. */
  fetch(target: Descriptor, options?: FetchOptions): Bytes;
}

/** Where content goes. Any {@link Source} copies into any {@link Sink}: pull, push, save and load are that copy. */
export interface Sink {
  has(target: Descriptor, options?: Abortable): Promise<boolean>;
  /** Stores `target`. Idempotent; nothing is visible before every byte has arrived and matched digest and size. */
  push(target: Descriptor, content: Reopenable, options?: Abortable): Promise<void>;
}

/** Mutable names for immutable content. */
export interface Tags {
  resolve(reference: string, options?: Abortable): Promise<Descriptor>;
  tag(reference: string, target: Descriptor, options?: Abortable): Promise<void>;
}

export interface FetchOptions extends Abortable {
  /** First byte wanted. Default 0. */
  readonly offset?: number;
}

/** The engine's own blob store: `<root>/content`, a valid OCI image layout. */
export interface ContentStore extends Source, Sink, AsyncDisposable {
  /** Stores bytes whose digest is not known beforehand, and tells it. */
  ingest(content: Bytes, mediaType: string, options?: Abortable): Promise<Descriptor>;
  /**
   * Takes the single flight of `target` across processes and opens its partial download, or
   * resolves to `undefined` when the blob is (or, after waiting for another process, has become)
   * part of the store.
   */
  openIngest(target: Descriptor, options?: OpenIngestOptions): Promise<Ingest | undefined>;
  /**
   * Makes completed ingests blobs of the store: one `syncfs` for all of them, then one
   * transaction. Idempotent.
   */
  publish(completed: readonly Ingest[]): Promise<void>;
  /** The file that holds a blob of the store. */
  path(digest: Digest): string;
  list(): AsyncIterable<{ readonly digest: Digest; readonly size: number }>;
  /** Partial downloads: what arrived of them, and whether somebody works on them now. */
  partials(): AsyncIterable<Partial>;
  /** Forgets a partial download nobody works on. `false`: somebody does. */
  discard(digest: Digest): Promise<boolean>;
  /** Forgets a blob; what is already gone succeeds. Only the garbage collector calls this. */
  delete(digest: Digest): Promise<void>;
}

export interface OpenIngestOptions extends Abortable {
  /** Another process holds the single flight; `bytes` is what it has received. Called repeatedly while waiting. */
  readonly onWait?: (bytes: number) => void;
}

/** A download in progress, exclusively ours until disposed. What was written survives dispose, crash and error. */
export interface Ingest extends AsyncDisposable {
  readonly target: Descriptor;
  /** The file that grows. Its bytes are unverified. */
  readonly path: string;
  /** Bytes in the file. */
  readonly offset: number;
  /** Appends. Never beyond `target.size`. @throws DATA_LOSS when the source sends more. */
  write(chunk: Uint8Array): void;
  /** Declares that digest and size of the file have been verified. */
  complete(): void;
  /** Throws the bytes away, as after a digest mismatch; `offset` is 0 again. */
  reset(): void;
}

export interface Partial {
  readonly digest: Digest;
  /** In bytes. */
  readonly size: number;
  readonly updatedAt: Date;
  readonly active: boolean;
}

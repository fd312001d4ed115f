import type { Abortable, Bytes, Reopenable } from '../io/bytes.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest, DiffId } from '../oci/digest.ts';
import type { DroppedBlob } from './dropped-rows.ts';

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
  /** @throws NOT_FOUND */
  resolve(reference: string, options?: Abortable): Promise<Descriptor>;
  tag(reference: string, target: Descriptor, options?: Abortable): Promise<void>;
}

export interface FetchOptions extends Abortable {
  /** First byte wanted. Default 0. */
  readonly offset?: number;
  /**
   * Chunks may be overwritten once the next is asked for, by sources that can do with less memory
   * and time then. Default false.
   */
  readonly lend?: boolean | undefined;
}

/**
 * The engine's own blob store: `<root>/content`, a valid OCI image layout.
 *
 * A blob is *absent*, or *arrived* (complete and verified; any process may use it as long as the
 * machine does not stop), or *ready* (also durable). {@link push}, {@link ingest}, {@link adopt}
 * and {@link Ingest.complete} make it arrive; {@link ready} makes all blobs of an image durable
 * together. What is not in the database is not in the store, whatever files there are.
 *
 * A layer's blob may have been *dropped* on purpose: then it has no file, and {@link fetch} and
 * {@link restore} bring it back, verified, by its recipe or from where it was pulled.
 */
export interface ContentStore extends Source, Sink, AsyncDisposable {
  /** Also `true` for a dropped blob that can be made again without asking anybody. */
  has(target: Descriptor, options?: Abortable): Promise<boolean>;
  /** Stores bytes whose digest is not known beforehand, and tells it. */
  ingest(content: Bytes, mediaType: string, options?: Abortable): Promise<Descriptor>;
  /**
   * Makes the complete, verified file `path`, on the store's file system, the blob; the file is
   * gone afterwards. Idempotent.
   */
  adopt(target: Descriptor, path: string, options?: Abortable): Promise<void>;
  /**
   * Takes the single flight of `target` across processes and opens its partial download, or
   * resolves to `undefined` when the blob is (or, after waiting for another process, has become)
   * part of the store.
   */
  openIngest(target: Descriptor, options?: OpenIngestOptions): Promise<Ingest | undefined>;
  /**
   * Makes arrived blobs ready; what was dropped and is back, for good. Part of the caller's durable
   * transaction, after `syncStore`.
   * @throws NOT_FOUND when one is not (any more) in the store: then nothing may name it
   */
  ready(digests: readonly Digest[]): void;
  /**
   * Makes sure that the file of a blob is there: of a dropped one, by following its recipe or else
   * from its origin. It stays until {@link drop}.
   * @throws NOT_FOUND when it is not in the store, nor can be had
   */
  restore(target: Descriptor, options?: Abortable): Promise<void>;
  /** Whether the blob was dropped, and is not here at the moment. */
  isDropped(digest: Digest): boolean;
  /** What was dropped, here at the moment or not. */
  dropped(): readonly DroppedBlob[];
  /**
   * Says in a durable transaction that these ready blobs go, and how they come back. {@link delete}
   * does the rest, at once or after a crash. @returns those that went
   */
  drop(blobs: readonly Drop[]): readonly StoredBlob[];
  /** Tars of layers (by diffID) without which a dropped blob of `used` could not be made again. */
  tarsOfDropped(used: ReadonlySet<string>): ReadonlySet<DiffId>;
  /** Forgets recipes, and what was dropped, of blobs that nobody uses any more. In the collector's transaction. */
  forget(used: ReadonlySet<string>): void;
  /** The file that holds a blob of the store, unless that was dropped. */
  path(digest: Digest): string;
  /** Everything in the store; arrived ones that nothing names yet included. */
  list(): AsyncIterable<StoredBlob>;
  /** Partial downloads: what arrived of them, and whether somebody works on them now. */
  partials(): AsyncIterable<PartialDownload>;
  /** Files among the blobs that no row knows: a crash or another program left them. A download adopts them. */
  orphans(): AsyncIterable<StoredBlob>;
  /** Forgets a partial download nobody works on. `false`: somebody does. */
  discard(digest: Digest): Promise<boolean>;
  /**
   * What a collector may take: all that is not in `used`, except what arrived within the last day
   * (somebody may be about to name it). In the transaction that condemns them.
   */
  unused(used: ReadonlySet<string>): readonly StoredBlob[];
  /**
   * Says in the collector's transaction that these blobs are going: from now on the store does not
   * have them. {@link delete} does the rest, at once or after a crash.
   */
  condemn(digests: readonly Digest[]): void;
  /**
   * Removes a condemned blob or an orphan; what is already gone succeeds, and what came back
   * meanwhile stays. @returns bytes freed
   */
  delete(digest: Digest): Promise<number>;
  /**
   * Writes `index.json` anew if references changed since: other programs then find them in the
   * layout. Several processes may ask at once.
   */
  project(): Promise<void>;
}

export interface StoredBlob {
  readonly digest: Digest;
  /** In bytes. */
  readonly size: number;
}

/** A blob that is to go, how it comes back, and from which repositories it can be fetched. */
export type Drop = Omit<DroppedBlob, 'size'>;

export interface OpenIngestOptions extends Abortable {
  /** Another process holds the single flight; `bytes` is what it has received. Called repeatedly while waiting. */
  readonly onWait?: ((bytes: number) => void) | undefined;
}

/** A download in progress, exclusively ours until disposed. What was written survives dispose, crash and error. */
export interface Ingest extends AsyncDisposable {
  readonly target: Descriptor;
  /** The file that grows. Its bytes are unverified. */
  readonly path: string;
  /** Bytes in the file. */
  readonly offset: number;
  /**
   * Appends. Never beyond `target.size`. @throws DATA_LOSS when the source sends more ·
   * RESOURCE_EXHAUSTED when the disk is full; what fitted stays
   */
  write(chunk: Uint8Array): void;
  /** Declares that digest and size of the file have been verified: the blob has arrived, and others may use it. */
  complete(): void;
  /** Throws the bytes away, as after a digest mismatch; `offset` is 0 again. */
  reset(): void;
}

export interface PartialDownload {
  readonly digest: Digest;
  /** In bytes. */
  readonly size: number;
  readonly updatedAt: Date;
  readonly active: boolean;
}

import { renameSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { WrittenIndex } from '../erofs/write.ts';
import type { Channel } from '../io/channel.ts';
import { type DiffId, type Digest, sha256 } from '../oci/digest.ts';
import type { LayerFacts } from '../snapshot/driver.ts';
import { fromNode } from '../sys/errno.ts';
import type { EntryHandler } from '../tar/entry.ts';
import { TarReader } from '../tar/read.ts';
import { Changeset } from './changeset/changeset.ts';
import { type LayerSink, noSink } from './changeset/sink.ts';
import { INDEX_FILE, refuseUnmapped, TAR_FILE, tagOf, writeIndexFile } from './index-output.ts';
import { TarOutput } from './tar-output.ts';

export interface PackOutputOptions {
  /** Whether the archive becomes `layer.tar`. */
  readonly keepsTar: boolean;
  /** Is told what the archive unpacks to. */
  readonly sink?: LayerSink | undefined;
  /** Gets the archive, too. */
  readonly channel?: Channel | undefined;
  /** `false`: who writes the archive tells {@link PackOutput.members} what is in it. Default: true. */
  readonly isRead?: boolean | undefined;
}

/** Nobody can use half a tree by mistake. */
const noIndex = (): { size: number; digest: Digest } => ({ size: 0, digest: sha256('') });

/** Chunks that go through hash, file, reader and channel; smaller ones are put together. In bytes. */
const CHUNK = 256 * 1024;
/** What a file is called until it is complete and on the disk. */
const UNFINISHED = '.new';

/**
 * A layer's archive on its way into the layer's directory: hashed, kept if it is to be, and made
 * an index as if it were unpacked, all at once. Until {@link publish} nothing in the
 * directory has changed that anybody looks at.
 */
export class PackOutput implements Disposable {
  readonly #directory: string;
  readonly #keepsTar: boolean;
  readonly #channel: Channel | undefined;
  readonly #sink: LayerSink;
  readonly #changeset: Changeset;
  readonly #reader: TarReader | undefined;
  readonly #tar: TarOutput;
  #buffer = Buffer.allocUnsafeSlow(CHUNK);
  #filled = 0;

  constructor(directory: string, options: PackOutputOptions) {
    const { keepsTar, sink = noSink, channel, isRead = true } = options;
    this.#directory = directory;
    this.#keepsTar = keepsTar;
    this.#channel = channel;
    this.#sink = sink;
    this.#changeset = new Changeset(sink, { lower: undefined });
    this.#reader = isRead ? new TarReader(this.#changeset) : undefined;
    this.#tar = new TarOutput(
      this.#reader,
      'sha256',
      keepsTar ? this.#path(TAR_FILE + UNFINISHED) : undefined,
    );
  }

  /** What a reader of the archive would be told, if it is not read. */
  get members(): EntryHandler {
    return this.#changeset;
  }

  write = (chunk: Uint8Array): void => {
    for (let at = 0; at < chunk.length;) {
      const room = CHUNK - this.#filled;
      const piece = at === 0 && chunk.length <= room ? chunk : chunk.subarray(at, at + room);
      this.#buffer.set(piece, this.#filled);
      this.#filled += piece.length;
      at += piece.length;
      if (this.#filled === CHUNK) this.#flush();
    }
  };

  /** The archive is complete: writes the index, unless it is of a tree that depends on what is below it. */
  finish(): LayerFacts {
    this.#flush();
    const diffId = this.#tar.end() as DiffId;
    this.#reader?.end();
    this.#changeset.finish();
    const { dependent, stats } = this.#changeset;
    const index = dependent ? noIndex() : this.#index(diffId);
    return {
      diffId,
      dependent,
      tarSize: this.#tar.size,
      indexSize: index.size,
      indexDigest: index.digest,
      stats: { ...stats },
    };
  }

  /** Durable first, if it is to be, then there: the index comes last. */
  async publish(durable: boolean): Promise<void> {
    const names = this.#keepsTar ? [TAR_FILE, INDEX_FILE] : [INDEX_FILE];
    if (durable) for (const name of names) await sync(this.#path(name + UNFINISHED), 'r+');
    try {
      for (const name of names) renameSync(this.#path(name + UNFINISHED), this.#path(name));
    } catch (error) {
      throw fromNode(error);
    }
    if (durable) await sync(this.#directory, 'r');
  }

  /** Nothing is left of what was not published. */
  [Symbol.dispose](): void {
    this.#sink[Symbol.dispose]();
    this.#tar[Symbol.dispose]();
    for (const name of [TAR_FILE, INDEX_FILE])
      rmSync(this.#path(name + UNFINISHED), { force: true });
  }

  #index(diffId: DiffId): Pick<WrittenIndex, 'size' | 'digest'> {
    const devices = [{ tag: tagOf(diffId), size: this.#tar.size }];
    const path = this.#path(INDEX_FILE + UNFINISHED);
    const index = writeIndexFile(this.#changeset.root, path, { devices });
    if (this.#keepsTar) refuseUnmapped(index);
    return index;
  }

  #flush(): void {
    if (this.#filled === 0) return;
    const chunk = this.#buffer.subarray(0, this.#filled);
    this.#tar.write(chunk);
    this.#channel?.push(chunk);
    // What was pushed is somebody else's now.
    if (this.#channel !== undefined) this.#buffer = Buffer.allocUnsafeSlow(CHUNK);
    this.#filled = 0;
  }

  #path(name: string): string {
    return join(this.#directory, name);
  }
}

async function sync(path: string, flags: string): Promise<void> {
  try {
    await using file = await open(path, flags);
    await file.sync();
  } catch (error) {
    throw fromNode(error);
  }
}

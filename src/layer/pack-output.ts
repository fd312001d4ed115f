import { renameSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { MicaError } from '../errors.ts';
import type { Channel } from '../io/channel.ts';
import type { DiffId } from '../oci/digest.ts';
import type { LayerFacts } from '../snapshot/driver.ts';
import { fromNode } from '../sys/errno.ts';
import { TarReader } from '../tar/read.ts';
import { Changeset } from './changeset/changeset.ts';
import { noSink } from './changeset/sink.ts';
import { INDEX_FILE, TAR_FILE, tagOf, writeIndexFile } from './index-output.ts';
import { TarOutput } from './tar-output.ts';

/** Chunks that go through hash, file, reader and channel; smaller ones are put together. In bytes. */
const CHUNK = 256 * 1024;
/** What a file is called until it is complete and on the disk. */
const UNFINISHED = '.new';

/**
 * A layer's archive on its way into the layer's directory: hashed, kept if it is to be, and read for
 * the index as an unpacked archive would be, all at once. Until {@link publish} nothing in the
 * directory has changed that anybody looks at.
 */
export class PackOutput implements Disposable {
  readonly #directory: string;
  readonly #keepsTar: boolean;
  readonly #channel: Channel | undefined;
  readonly #changeset = new Changeset(noSink, { lower: undefined });
  readonly #reader = new TarReader(this.#changeset);
  readonly #tar: TarOutput;
  #buffer = Buffer.allocUnsafeSlow(CHUNK);
  #filled = 0;

  constructor(directory: string, keepsTar: boolean, channel?: Channel) {
    this.#directory = directory;
    this.#keepsTar = keepsTar;
    this.#channel = channel;
    this.#tar = new TarOutput(
      this.#reader,
      'sha256',
      keepsTar ? this.#path(TAR_FILE + UNFINISHED) : undefined,
    );
  }

  write = (chunk: Uint8Array): void => {
    for (let at = 0; at < chunk.length;) {
      const piece = chunk.subarray(at, at + CHUNK - this.#filled);
      this.#buffer.set(piece, this.#filled);
      this.#filled += piece.length;
      at += piece.length;
      if (this.#filled === CHUNK) this.#flush();
    }
  };

  /** The archive is complete: writes the index. */
  finish(): LayerFacts {
    this.#flush();
    const diffId = this.#tar.end() as DiffId;
    this.#reader.end();
    this.#changeset.finish();
    const { root, dependent, stats } = this.#changeset;
    if (dependent) throw new MicaError('INTERNAL', 'a packed layer depends on its parents');
    const devices = [{ tag: tagOf(diffId), size: this.#tar.size }];
    const index = writeIndexFile(root, this.#path(INDEX_FILE + UNFINISHED), { devices });
    if (index.unmapped > 0 && this.#keepsTar)
      throw new MicaError(
        'RESOURCE_EXHAUSTED',
        `${index.unmapped} files are too large or have too many holes for an index over a tar`,
      );
    return {
      diffId,
      dependent: false,
      tarSize: this.#tar.size,
      indexSize: index.size,
      indexDigest: index.digest,
      stats: { ...stats },
    };
  }

  /** Durable first, then there: the index comes last. */
  async publish(): Promise<void> {
    const names = this.#keepsTar ? [TAR_FILE, INDEX_FILE] : [INDEX_FILE];
    for (const name of names) await sync(this.#path(name + UNFINISHED), 'r+');
    try {
      for (const name of names) renameSync(this.#path(name + UNFINISHED), this.#path(name));
    } catch (error) {
      throw fromNode(error);
    }
    await sync(this.#directory, 'r');
  }

  /** Nothing is left of what was not published. */
  [Symbol.dispose](): void {
    this.#tar[Symbol.dispose]();
    for (const name of [TAR_FILE, INDEX_FILE])
      rmSync(this.#path(name + UNFINISHED), { force: true });
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

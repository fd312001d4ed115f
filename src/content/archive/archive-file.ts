import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { MicaError } from '../../errors.ts';
import type { Abortable, Bytes } from '../../io/bytes.ts';
import { decompress } from '../../io/compress.ts';
import { sniffProgramCompression, withoutProgramCompression } from '../../io/by-program.ts';
import { sniffCompression, SNIFF_LENGTH } from '../../io/compression.ts';
import { fromNode } from '../../sys/errno.ts';

export interface OpenFileOptions extends Abortable {
  /**
   * Where a copy is kept, under no name, of what cannot be read at any place: what is compressed,
   * and what comes through a pipe.
   */
  readonly spool: string;
}

export interface ReadOptions extends Abortable {
  /** Chunks are overwritten once the next is asked for. Default false. */
  readonly lend?: boolean | undefined;
}

/** In bytes. */
const CHUNK = 512 * 1024;

/** A tar archive that can be read from any offset, whatever it came as. */
export class ArchiveFile implements AsyncDisposable {
  /** For messages. */
  readonly name: string;
  /** In bytes, uncompressed. */
  readonly size: number;
  readonly #handle: FileHandle;

  private constructor(name: string, handle: FileHandle, size: number) {
    this.name = name;
    this.#handle = handle;
    this.size = size;
  }

  /** @throws NOT_FOUND · NOT_IMPLEMENTED for a compression other than gzip, zstd, xz and bzip2 · RESOURCE_EXHAUSTED */
  static async open(path: string, options: OpenFileOptions): Promise<ArchiveFile> {
    options.signal?.throwIfAborted();
    try {
      await using stack = new AsyncDisposableStack();
      const handle = stack.use(await open(path, 'r'));
      const stats = await handle.stat();
      if (stats.isDirectory())
        throw new MicaError('INVALID_ARGUMENT', `${path} is a directory, not an archive`);
      if (stats.isFile() && !(await isCompressed(handle))) {
        stack.move();
        return new ArchiveFile(path, handle, stats.size);
      }
      const stream = handle.createReadStream({ autoClose: false, highWaterMark: CHUNK });
      return await ArchiveFile.spool(stream as AsyncIterable<Uint8Array>, path, options);
    } catch (error) {
      throw fromNode(error);
    }
  }

  /** Of bytes that come once. The copy is gone when it is closed, or its process dies. */
  static async spool(bytes: Bytes, name: string, options: OpenFileOptions): Promise<ArchiveFile> {
    const { spool, signal } = options;
    const path = join(spool, `.${randomBytes(8).toString('hex')}.new`);
    try {
      await using stack = new AsyncDisposableStack();
      await mkdir(spool, { recursive: true });
      const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL;
      const handle = stack.use(await open(path, flags, 0o600));
      // Somebody who cleans up may have been quicker.
      await rm(path, { force: true });
      let size = 0;
      const plain = decompress(withoutProgramCompression(bytes, { signal }), { signal });
      for await (const chunk of plain) {
        await handle.writeFile(chunk);
        size += chunk.byteLength;
      }
      stack.move();
      return new ArchiveFile(name, handle, size);
    } catch (error) {
      throw fromNode(error);
    }
  }

  /** `length` bytes from `offset`. @throws DATA_LOSS when the archive ends before */
  async *bytes(offset: number, length: number, { signal, lend }: ReadOptions = {}): Bytes {
    let buffer: Buffer | undefined;
    for (let at = 0; at < length;) {
      signal?.throwIfAborted();
      const wanted = Math.min(CHUNK, length - at);
      if (buffer === undefined || lend !== true) buffer = Buffer.allocUnsafeSlow(wanted);
      const { bytesRead } = await this.#read(buffer.subarray(0, wanted), offset + at);
      if (bytesRead === 0)
        throw new MicaError('DATA_LOSS', `${this.name} ends in the middle of a member`);
      at += bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
  }

  /** At most `length` bytes, fewer at the end of the archive. */
  async start(offset: number, length: number): Promise<Buffer> {
    const buffer = Buffer.allocUnsafe(length);
    const { bytesRead } = await this.#read(buffer, offset);
    return buffer.subarray(0, bytesRead);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close();
  }

  async #read(into: Buffer, offset: number): Promise<{ bytesRead: number }> {
    try {
      return await this.#handle.read(into, 0, into.byteLength, offset);
    } catch (error) {
      throw fromNode(error);
    }
  }
}

async function isCompressed(handle: FileHandle): Promise<boolean> {
  const buffer = Buffer.alloc(SNIFF_LENGTH);
  const { bytesRead } = await handle.read(buffer, 0, SNIFF_LENGTH, 0);
  const start = buffer.subarray(0, bytesRead);
  return sniffProgramCompression(start) !== undefined || sniffCompression(start) !== 'none';
}

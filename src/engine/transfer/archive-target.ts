import { randomBytes } from 'node:crypto';
import { type FileHandle, open, rename, rm, stat } from 'node:fs/promises';
import {
  type ArchiveFormat,
  type ArchiveWriter,
  writeArchive,
} from '../../content/archive/write-archive.ts';
import type { Abortable } from '../../io/bytes.ts';
import { fromNode } from '../../sys/errno.ts';

/** A file, or somebody who takes bytes. */
export type ArchiveTarget = string | ((chunk: Uint8Array) => Promise<void>);

/** An archive being written. A file that is there already stays as it was until the new one is whole. */
export interface OpenArchiveTarget extends AsyncDisposable {
  readonly archive: ArchiveWriter;
  /** Ends the archive; only then is it at its place. */
  finish(options?: Abortable): Promise<void>;
}

export async function openArchiveTarget(
  to: ArchiveTarget,
  format: ArchiveFormat,
): Promise<OpenArchiveTarget> {
  if (typeof to !== 'string') {
    const archive = writeArchive(to, format);
    return {
      archive,
      finish: (options) => archive.finish(options),
      [Symbol.asyncDispose]: async () => {},
    };
  }
  try {
    // A pipe or a device gets the bytes themselves.
    const isPlain = (await stat(to).catch(() => undefined))?.isFile() ?? true;
    const path = isPlain ? `${to}.${randomBytes(6).toString('hex')}.new` : to;
    return new FileTarget(await open(path, isPlain ? 'wx' : 'w', 0o644), path, to, format);
  } catch (error) {
    throw fromNode(error);
  }
}

class FileTarget implements OpenArchiveTarget {
  readonly archive: ArchiveWriter;
  readonly #file: FileHandle;
  readonly #path: string;
  readonly #to: string;
  #isWhole = false;

  constructor(file: FileHandle, path: string, to: string, format: ArchiveFormat) {
    this.#file = file;
    this.#path = path;
    this.#to = to;
    this.archive = writeArchive((chunk) => this.#write(chunk), format);
  }

  async finish(options: Abortable = {}): Promise<void> {
    await this.archive.finish(options);
    try {
      if (this.#path !== this.#to) {
        await this.#file.close();
        await rename(this.#path, this.#to);
      }
    } catch (error) {
      throw fromNode(error);
    }
    this.#isWhole = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
    if (!this.#isWhole && this.#path !== this.#to) await rm(this.#path, { force: true });
  }

  async #write(chunk: Uint8Array): Promise<void> {
    try {
      await this.#file.writeFile(chunk);
    } catch (error) {
      throw fromNode(error);
    }
  }
}

import { createHash } from 'node:crypto';
import { closeSync, openSync, rmSync } from 'node:fs';
import { writeAll } from '../io/write-all.ts';
import type { Digest } from '../oci/digest.ts';

interface Reader {
  write(chunk: Uint8Array): void;
}

/** Where a layer's uncompressed tar goes: hashed, kept as a file if there is one, and read if there is a reader. */
export class TarOutput implements Disposable {
  readonly #algorithm: 'sha256' | 'sha512';
  readonly #hash;
  readonly #reader: Reader | undefined;
  readonly #file: { readonly fd: number; readonly path: string } | undefined;
  /** In bytes. */
  size = 0;

  /**
   * @param reader - `undefined`: what is in it is known
   * @param path - of the file to be written, replacing what is there
   */
  constructor(reader: Reader | undefined, algorithm: 'sha256' | 'sha512', path?: string) {
    this.#algorithm = algorithm;
    this.#hash = createHash(algorithm);
    this.#reader = reader;
    // Writing over a large file is slower than writing a new one.
    if (path !== undefined) rmSync(path, { force: true });
    this.#file = path === undefined ? undefined : { fd: openSync(path, 'wx', 0o600), path };
  }

  write(chunk: Uint8Array): void {
    this.#hash.update(chunk);
    this.size += chunk.length;
    if (this.#file !== undefined) writeAll(this.#file.fd, chunk, this.#file.path);
    this.#reader?.write(chunk);
  }

  /** The archive is over. */
  end(): Digest {
    return `${this.#algorithm}:${this.#hash.digest('hex')}`;
  }

  [Symbol.dispose](): void {
    if (this.#file !== undefined) closeSync(this.#file.fd);
  }
}

import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  writeSync,
} from 'node:fs';
import { MicaError } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { hasKernel } from '../sys/binding.ts';
import { errnoOf, fromNode } from '../sys/errno.ts';
import type { BlobFiles } from './blob-files.ts';
import type { BlobRows } from './blob-rows.ts';
import type { Ingest } from './content.ts';
import type { Flight } from './flight.ts';

/**
 * What a download that has filled the disk gives back of its end, in bytes: the store needs some room
 * to write down what is deleted, and on some file systems also to delete.
 */
const GIVEN_BACK = 1024 * 1024;

/** A partial download as a file that is appended to. */
export class FileIngest implements Ingest {
  readonly target: Descriptor;
  readonly #flight: Flight;
  readonly #files: BlobFiles;
  readonly #rows: BlobRows;
  readonly #fd: number;
  #offset: number;
  #open = true;
  #complete = false;
  /** It has seen the end of the disk. */
  #full = false;

  /** Owns `flight` from the moment it succeeds. */
  constructor(target: Descriptor, flight: Flight, files: BlobFiles, rows: BlobRows) {
    this.target = target;
    this.#flight = flight;
    this.#files = files;
    this.#rows = rows;
    try {
      this.#fd = openSync(flight.data, constants.O_RDWR | constants.O_CREAT, 0o644);
      this.#offset = fstatSync(this.#fd).size;
      if (this.#offset > target.size) this.reset();
    } catch (error) {
      throw fromNode(error);
    }
  }

  get path(): string {
    return this.#flight.data;
  }

  get offset(): number {
    return this.#offset;
  }

  write(chunk: Uint8Array): void {
    const { digest, size } = this.target;
    if (this.#offset + chunk.byteLength > size)
      throw new MicaError('DATA_LOSS', `${digest}: expected ${size} bytes, got more`);
    try {
      // A disk that fills up takes a part of it; that part counts.
      for (let done = 0; done < chunk.byteLength;) {
        const written = writeSync(this.#fd, chunk, done, chunk.byteLength - done, this.#offset);
        done += written;
        this.#offset += written;
      }
    } catch (error) {
      this.#full = errnoOf(error) === 'ENOSPC';
      throw fromNode(error, this.path);
    }
  }

  complete(): void {
    const { digest, size } = this.target;
    if (this.#offset !== size)
      throw new MicaError('DATA_LOSS', `${digest}: expected ${size} bytes, got ${this.#offset}`);
    try {
      // Elsewhere one call makes all files of a pull durable.
      if (!hasKernel()) fsyncSync(this.#fd);
      this.#close();
    } catch (error) {
      throw fromNode(error);
    }
    this.#files.place(this.path, digest);
    // A crash before this leaves an orphan, which the next download verifies and adopts.
    this.#rows.arrive({ digest, size });
    this.#complete = true;
    this.#flight[Symbol.dispose]();
  }

  reset(): void {
    try {
      ftruncateSync(this.#fd, 0);
      this.#offset = 0;
    } catch (error) {
      throw fromNode(error);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#complete) return;
    // Only now: whoever follows the file still reads what was there.
    if (this.#full) this.#giveBack();
    this.#close();
    if (this.#offset === 0) this.#flight.removeData();
    this.#flight[Symbol.dispose]();
  }

  #giveBack(): void {
    this.#offset = Math.max(0, this.#offset - GIVEN_BACK);
    try {
      ftruncateSync(this.#fd, this.#offset);
    } catch (error) {
      throw fromNode(error);
    }
  }

  #close(): void {
    if (!this.#open) return;
    this.#open = false;
    closeSync(this.#fd);
  }
}

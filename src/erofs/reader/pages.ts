import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { MicaError } from '../../errors.ts';
import { fromNode } from '../../sys/errno.ts';

const PAGE_BITS = 16;
const PAGE_SIZE = 1 << PAGE_BITS;
/** Files up to this size are read whole, which is faster than paging and needs no descriptor. */
const WHOLE = 1 << 20;
const KEPT_PAGES = 64;

/**
 * Random access to an image's bytes. {@link locate} makes a range contiguous in {@link buffer} and
 * says where it begins there, so that decoding costs neither an allocation nor a copy.
 */
export interface ImageBytes {
  /** In bytes. */
  readonly size: number;
  /** Valid until the next {@link locate}. */
  readonly buffer: Buffer;
  /** Where `offset` lies in {@link buffer}, with `length` bytes following. @throws DATA_LOSS outside of the image */
  locate(offset: number, length: number): number;
  close(): void;
}

export function openBytes(path: string): ImageBytes {
  const fd = translated(() => openSync(path, 'r'));
  let kept = false;
  try {
    const { size } = fstatSync(fd);
    if (size > WHOLE) {
      kept = true;
      return new Pages(fd, size);
    }
    const bytes = Buffer.allocUnsafeSlow(size);
    readFully(fd, bytes, 0);
    return new Whole(bytes);
  } finally {
    if (!kept) closeSync(fd);
  }
}

export function bytesOf(bytes: Uint8Array): ImageBytes {
  return new Whole(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
}

class Whole implements ImageBytes {
  readonly buffer: Buffer;
  readonly size: number;

  constructor(buffer: Buffer) {
    this.buffer = buffer;
    this.size = buffer.length;
  }

  locate(offset: number, length: number): number {
    checkRange(offset, length, this.size);
    return offset;
  }

  close(): void {}
}

/** A bounded number of pages in memory, the least recently used go first. */
class Pages implements ImageBytes {
  readonly size: number;
  buffer: Buffer = Buffer.alloc(0);
  #fd: number;
  #current = -1;
  /** In order of use, as Maps keep insertion order. */
  readonly #pages = new Map<number, Buffer>();

  constructor(fd: number, size: number) {
    this.#fd = fd;
    this.size = size;
  }

  locate(offset: number, length: number): number {
    checkRange(offset, length, this.size);
    const page = Math.floor(offset / PAGE_SIZE);
    const start = offset - page * PAGE_SIZE;
    if (start + length <= PAGE_SIZE) {
      if (page !== this.#current) this.#turnTo(page);
      return start;
    }
    this.buffer = this.#gather(offset, length);
    this.#current = -1;
    return 0;
  }

  close(): void {
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
    this.#pages.clear();
    this.#current = -1;
  }

  #turnTo(page: number): void {
    this.buffer = this.#page(page);
    this.#current = page;
  }

  #gather(offset: number, length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length);
    for (let done = 0; done < length;) {
      const at = offset + done;
      const page = Math.floor(at / PAGE_SIZE);
      const start = at - page * PAGE_SIZE;
      done += this.#page(page).copy(bytes, done, start, start + length - done);
    }
    return bytes;
  }

  #page(page: number): Buffer {
    let bytes = this.#pages.get(page);
    if (bytes) this.#pages.delete(page);
    else {
      bytes = this.#pages.size < KEPT_PAGES ? Buffer.allocUnsafeSlow(PAGE_SIZE) : this.#evict();
      readFully(this.#fd, bytes.subarray(0, this.size - page * PAGE_SIZE), page * PAGE_SIZE);
    }
    this.#pages.set(page, bytes);
    return bytes;
  }

  #evict(): Buffer {
    const [oldest, bytes] = this.#pages.entries().next().value!;
    this.#pages.delete(oldest);
    if (oldest === this.#current) this.#current = -1;
    return bytes;
  }
}

function checkRange(offset: number, length: number, size: number): void {
  if (offset >= 0 && length >= 0 && offset + length <= size) return;
  throw new MicaError(
    'DATA_LOSS',
    `read index: ${length} bytes at ${offset} lie outside of its ${size} bytes; the index is damaged`,
  );
}

function readFully(fd: number, into: Uint8Array, position: number): void {
  for (let done = 0; done < into.length;) {
    const count = translated(() => readSync(fd, into, done, into.length - done, position + done));
    if (count === 0)
      throw new MicaError(
        'DATA_LOSS',
        `read index: it ends at ${position + done}, earlier than before`,
      );
    done += count;
  }
}

function translated<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw fromNode(error);
  }
}

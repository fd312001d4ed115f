import { readSync } from 'node:fs';
import { MicaError } from '../errors.ts';
import { fromNode } from '../sys/errno.ts';

/**
 * Kinds of streams that a file of NTFS consists of, when it is read as a whole (`BackupRead`).
 * @see https://learn.microsoft.com/en-us/windows/win32/api/winbase/ns-winbase-win32_stream_id
 */
export const STREAM = {
  data: 1,
  extendedAttributes: 2,
  security: 3,
  alternate: 4,
  link: 5,
  property: 6,
  objectId: 7,
  reparse: 8,
  sparseBlock: 9,
  transaction: 10,
} as const;

/** In `attributes`: the data come as blocks of kind `sparseBlock`. */
export const SPARSE = 8;

/** One stream, as it lies in a file that holds a sequence of them. */
export interface BackupStream {
  readonly id: number;
  readonly attributes: number;
  /** Of an alternate one, `:name:$DATA`. */
  readonly name: string;
  /** Where its content begins, and how many bytes it has. */
  readonly start: number;
  readonly size: number;
  /** Of a sparse block: where in the file its content belongs. */
  readonly offset: number;
}

const HEADER = 20;
/** In bytes: far more than any name has. */
const MAX_NAME = 4096;

/** What stands before the content of a stream: a `WIN32_STREAM_ID`. */
export function streamHeader(id: number, size: number, name = ''): Buffer {
  const text = Buffer.from(name, 'utf16le');
  const header = Buffer.alloc(HEADER + text.length);
  header.writeUInt32LE(id, 0);
  header.writeBigUInt64LE(BigInt(size), 8);
  header.writeUInt32LE(text.length, 16);
  text.copy(header, HEADER);
  return header;
}

/**
 * The streams in an open file, from `position` to its end.
 * @param what - the file, for messages
 * @throws DATA_LOSS for what is no sequence of streams
 */
export function* backupStreams(
  fd: number,
  {
    position,
    end,
    what,
  }: { readonly position: number; readonly end: number; readonly what: string },
): Generator<BackupStream, void, undefined> {
  const header = Buffer.alloc(HEADER);
  for (let at = position; at < end;) {
    readFully(fd, header, at, what);
    const nameSize = header.readUInt32LE(16);
    let size = Number(header.readBigUInt64LE(8));
    const id = header.readUInt32LE(0);
    if (nameSize > MAX_NAME || id < STREAM.data || id > STREAM.transaction)
      throw damaged(what, `at ${at} is no stream`);
    const name = Buffer.alloc(nameSize);
    readFully(fd, name, at + HEADER, what);
    let start = at + HEADER + nameSize;
    at = start + size;
    if (at > end) throw damaged(what, `ends within a stream`);
    let offset = 0;
    if (id === STREAM.sparseBlock) {
      const place = Buffer.alloc(8);
      if (size < 8) throw damaged(what, 'has a sparse block without a place');
      readFully(fd, place, start, what);
      offset = Number(place.readBigUInt64LE());
      start += 8;
      size -= 8;
    }
    const attributes = header.readUInt32LE(4);
    yield { id, attributes, name: name.toString('utf16le'), start, size, offset };
  }
}

/** Reads all that `into` has room for. */
export function readFully(fd: number, into: Uint8Array, position: number, what: string): void {
  try {
    for (let at = 0; at < into.length;) {
      const count = readSync(fd, into, at, into.length - at, position + at);
      if (count === 0) throw damaged(what, `ends before byte ${position + into.length}`);
      at += count;
    }
  } catch (error) {
    throw fromNode(error);
  }
}

const damaged = (what: string, how: string): MicaError =>
  new MicaError('DATA_LOSS', `${what} ${how}; run mica check`);

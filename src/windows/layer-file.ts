import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { MicaError } from '../errors.ts';
import { printable } from '../sys/byte-string.ts';
import { errnoOf, fromNode } from '../sys/errno.ts';
import { type BackupStream, backupStreams, readFully, SPARSE, STREAM } from './backup-stream.ts';
import { ATTRIBUTES_SIZE, isFramed, placeOf } from './layer-files.ts';

/** What one stream of a file has, in pieces of the file that holds it; between them are zeros. */
export interface StreamContent {
  readonly size: number;
  readonly extents: readonly Extent[];
}

interface Extent {
  /** In the stream. */
  readonly logical: number;
  readonly physical: number;
  readonly length: number;
}

/** A file of a directory in the transport format, open. */
export class LayerFile implements Disposable {
  readonly fd: number;
  readonly size: number;
  readonly #what: string;
  readonly #isFramed: boolean;
  /** Behind the stream that was found last: they are mostly asked for in their order, and may be many. */
  #behind = ATTRIBUTES_SIZE;

  /** @param path - byte string, of the file in the layer, without a stream; of a directory, its attributes' file */
  constructor(directory: string, path: string) {
    this.#what = printable(path);
    this.#isFramed = isFramed(path);
    try {
      const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
      this.fd = openSync(placeOf(directory, path), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
      const stat = fstatSync(this.fd);
      this.size = stat.size;
      if (!stat.isFile()) throw lacks(this.#what, 'is no file');
    } catch (error) {
      this[Symbol.dispose]();
      const errno = errnoOf(error);
      if (errno === 'ENOENT' || errno === 'ELOOP' || errno === 'ENOTDIR')
        throw lacks(this.#what, 'is not there');
      throw fromNode(error);
    }
  }

  get attributes(): number {
    const bytes = Buffer.alloc(ATTRIBUTES_SIZE);
    readFully(this.fd, bytes, 0, this.#what);
    return bytes.readUInt32LE();
  }

  *streams(position: number = ATTRIBUTES_SIZE): Generator<BackupStream, void, undefined> {
    yield* backupStreams(this.fd, { position, end: this.size, what: this.#what });
  }

  read(into: Uint8Array, position: number): void {
    readFully(this.fd, into, position, this.#what);
  }

  /** @param name - of an alternate stream; `undefined`: the file's own data @throws DATA_LOSS when it is not there */
  content(name: string | undefined): StreamContent {
    if (!this.#isFramed) return whole(this.size);
    const wanted = name === undefined ? undefined : `:${textOf(name)}:$DATA`;
    const found = this.#find(wanted, this.#behind) ?? this.#find(wanted, ATTRIBUTES_SIZE);
    if (found !== undefined) return found;
    if (name === undefined) return { size: 0, extents: [] };
    throw lacks(this.#what, `has no stream ${printable(name)}`);
  }

  [Symbol.dispose](): void {
    if (this.fd !== undefined) closeSync(this.fd);
  }

  #find(wanted: string | undefined, position: number): StreamContent | undefined {
    const streams = this.streams(position);
    for (const stream of streams) {
      const isIt =
        wanted === undefined
          ? stream.id === STREAM.data
          : stream.id === STREAM.alternate && stream.name === wanted;
      if (!isIt) continue;
      const { start, size } = stream;
      this.#behind = start + size;
      if ((stream.attributes & SPARSE) !== 0 && stream.size === 0)
        return sparse(streams, this.#what);
      return { size, extents: [{ logical: 0, physical: start, length: size }] };
    }
    return undefined;
  }
}

/** The blocks that follow, in order; the last one is empty, and is where the file ends. @throws DATA_LOSS */
function sparse(streams: Iterable<BackupStream>, what: string): StreamContent {
  const extents: Extent[] = [];
  let end = 0;
  for (const { id, start, size, offset } of streams) {
    if (id !== STREAM.sparseBlock) break;
    if (offset < end) throw lacks(what, 'has sparse blocks over each other');
    if (size === 0) return { size: offset, extents };
    extents.push({ logical: offset, physical: start, length: size });
    end = offset + size;
  }
  return { size: end, extents };
}

const whole = (size: number): StreamContent => ({
  size,
  extents: [{ logical: 0, physical: 0, length: size }],
});

const textOf = (bytes: string): string => Buffer.from(bytes, 'latin1').toString();

const lacks = (what: string, how: string): MicaError =>
  new MicaError('DATA_LOSS', `${what} of a Windows layer ${how}; run mica check`);

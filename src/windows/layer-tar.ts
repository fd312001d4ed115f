import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { inflateRawSync } from 'node:zlib';
import { MicaError } from '../errors.ts';
import type { Abortable, Bytes } from '../io/bytes.ts';
import { fromNode } from '../sys/errno.ts';
import { readFully } from './backup-stream.ts';
import { MAGIC, MAX_PIECE, STEP } from './kept-headers.ts';
import { LayerFile } from './layer-file.ts';
import { LAYER_FILES } from './layer-files.ts';

/** What is read at once. */
const CHUNK = 256 * 1024;

/**
 * The archive that a layer's directory was made from, to the byte.
 * @throws DATA_LOSS when a file is not what it was
 */
export async function* layerTar(directory: string, { signal }: Abortable = {}): Bytes {
  using files = new LastFile(join(directory, LAYER_FILES.transport));
  for (const piece of pieces(join(directory, LAYER_FILES.headers)))
    for (const step of stepsOf(piece)) {
      signal?.throwIfAborted();
      if (step.kind === 'bytes') yield step.bytes;
      else yield* dataOf(files, step);
    }
}

/** The file that was asked for last stays open: its streams follow each other. */
class LastFile implements Disposable {
  readonly #transport: string;
  #path = '';
  #file: LayerFile | undefined;

  constructor(transport: string) {
    this.#transport = transport;
  }

  at(path: string): LayerFile {
    if (this.#file === undefined || path !== this.#path) {
      this[Symbol.dispose]();
      this.#file = new LayerFile(this.#transport, path);
      this.#path = path;
    }
    return this.#file;
  }

  [Symbol.dispose](): void {
    this.#file?.[Symbol.dispose]();
    this.#file = undefined;
  }
}

interface DataStep {
  readonly kind: 'data';
  readonly name: string;
  readonly size: number;
}

type Step = { readonly kind: 'bytes'; readonly bytes: Buffer } | DataStep;

function* pieces(path: string): Generator<Buffer> {
  const fd = open(path);
  try {
    const { size } = fstatSync(fd);
    const magic = Buffer.alloc(MAGIC.length);
    readFully(fd, magic, 0, path);
    if (!magic.equals(MAGIC)) throw damaged(path);
    for (let at = MAGIC.length; at < size;) {
      const head = Buffer.alloc(4);
      readFully(fd, head, at, path);
      const length = head.readUInt32LE();
      if (length > MAX_PIECE || at + 4 + length > size) throw damaged(path);
      const packed = Buffer.alloc(length);
      readFully(fd, packed, at + 4, path);
      yield inflated(packed, path);
      at += 4 + length;
    }
  } finally {
    closeSync(fd);
  }
}

function open(path: string): number {
  try {
    return openSync(path, 'r');
  } catch (error) {
    throw fromNode(error);
  }
}

function inflated(packed: Buffer, path: string): Buffer {
  try {
    return inflateRawSync(packed, { maxOutputLength: MAX_PIECE });
  } catch (cause) {
    throw damaged(path, { cause });
  }
}

function* stepsOf(piece: Buffer): Generator<Step> {
  for (let at = 0; at < piece.length;) {
    const isData = piece[at] === STEP.data;
    const head = isData ? 11 : 5;
    if (at + head > piece.length) throw damaged('a step');
    const length = isData ? piece.readUInt16LE(at + 9) : piece.readUInt32LE(at + 1);
    const end = at + head + length;
    if (end > piece.length) throw damaged('a step');
    const body = piece.subarray(at + head, end);
    if (isData)
      yield { kind: 'data', name: body.toString('latin1'), size: piece.readDoubleLE(at + 1) };
    else yield { kind: 'bytes', bytes: body };
    at = end;
  }
}

/** @param name - of a file, perhaps with that of a stream behind a colon */
function* dataOf(files: LastFile, { name, size }: DataStep): Generator<Buffer> {
  const colon = name.indexOf(':');
  const file = files.at(colon < 0 ? name : name.slice(0, colon));
  const content = file.content(colon < 0 ? undefined : name.slice(colon + 1));
  const [extent] = content.extents;
  if (content.size !== size || extent?.length !== size)
    throw new MicaError(
      'DATA_LOSS',
      `${name} has ${content.size} bytes instead of ${size}; run mica check`,
    );
  for (let at = 0; at < size;) {
    const buffer = Buffer.allocUnsafeSlow(Math.min(CHUNK, size - at));
    const count = readSync(file.fd, buffer, 0, buffer.length, extent.physical + at);
    if (count === 0) throw damaged(name);
    yield buffer.subarray(0, count);
    at += count;
  }
}

const damaged = (what: string, options?: ErrorOptions): MicaError =>
  new MicaError('DATA_LOSS', `${what} of a Windows layer is damaged; run mica check`, options);

import { constants } from 'node:zlib';
import { MicaError } from '../errors.ts';
import { addressOf } from '../sys/binding.ts';
import { type Library, openLibrary } from '../sys/library.ts';
import { type Inflater, type Step, ZSTD_WINDOW_LOG_MAX } from './inflater.ts';

/** Of libzstd's stable interface. Errors are small negative numbers when a `size_t` is read as signed. */
const FUNCTIONS = {
  ZSTD_createDStream: ['int64_t', 0],
  ZSTD_DCtx_setParameter: ['int64_t', 3],
  ZSTD_decompressStream: ['int64_t', 3],
  ZSTD_freeDStream: ['int64_t', 1],
  ZSTD_getErrorName: ['str', 1],
} as const;

/** `ZSTD_inBuffer` and `ZSTD_outBuffer` alike: address, size, position. */
const BUFFER = { address: 0, size: 8, position: 16, length: 24 } as const;

let library: Library<typeof FUNCTIONS> | undefined;
let isThere: boolean | undefined;

/** Whether this Node hands out the functions of the libzstd that it is built with, as nodejs.org's does. */
export function hasZstd(): boolean {
  try {
    isThere ??= zstd() !== undefined;
  } catch (error) {
    if (!(error instanceof MicaError)) throw error;
    isThere = false;
  }
  return isThere;
}

/**
 * Inflates zstd by Node's libzstd itself, which can therefore do it on a thread of the pool.
 * @throws NOT_IMPLEMENTED unless {@link hasZstd}
 */
export function zstdInflater(): Inflater {
  const { ZSTD_decompressStream: decompress, ZSTD_freeDStream: free } = zstd();
  const stream = openStream();
  const room = Buffer.alloc(2 * BUFFER.length);
  const [input, output] = [room.subarray(0, BUFFER.length), room.subarray(BUFFER.length)];
  const at = [stream, addressOf(output), addressOf(input)] as const;
  /** All frames that were begun have ended. */
  let over = false;
  let failed = false;

  /** @returns whether there is something to do: between frames only another one is */
  const prepare = (from: Uint8Array, into: Uint8Array): boolean => {
    if (failed) throw new Error('inflating failed before');
    if (over && from.length === 0) return false;
    setBuffer(input, from);
    setBuffer(output, into);
    return true;
  };
  /** @returns `undefined`: a frame has ended, and more can be made of what is left */
  const outcome = (result: number, from: Uint8Array, into: Uint8Array): Step | undefined => {
    failed = result < 0;
    if (failed) throw new Error(zstd().ZSTD_getErrorName(result));
    over = result === 0;
    const [used, made] = [positionOf(input), positionOf(output)];
    return over && used < from.length && made < into.length ? undefined : { used, made };
  };
  return {
    step(from, into) {
      if (!prepare(from, into)) return NOTHING;
      for (;;) {
        const step = outcome(decompress(...at), from, into);
        if (step !== undefined) return step;
      }
    },
    async later(from, into) {
      if (!prepare(from, into)) return NOTHING;
      for (;;) {
        // oxlint-disable-next-line no-await-in-loop -- one frame after the other
        const step = outcome(await decompress.later(...at), from, into);
        if (step !== undefined) return step;
      }
    },
    finish() {
      if (failed || !over) throw new Error('unexpected end of file');
    },
    close: () => void free(stream),
  };
}

const NOTHING: Step = { used: 0, made: 0 };

const zstd = (): Library<typeof FUNCTIONS> => (library ??= openLibrary(null, FUNCTIONS));

function openStream(): number {
  const { ZSTD_createDStream, ZSTD_DCtx_setParameter } = zstd();
  const stream = ZSTD_createDStream();
  if (stream === 0) throw new MicaError('RESOURCE_EXHAUSTED', 'inflate zstd: no memory is left');
  ZSTD_DCtx_setParameter(stream, constants.ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG_MAX);
  return stream;
}

function setBuffer(buffer: Buffer, bytes: Uint8Array): void {
  buffer.writeBigUInt64LE(bytes.length === 0 ? 0n : BigInt(addressOf(bytes)), BUFFER.address);
  buffer.writeBigUInt64LE(BigInt(bytes.length), BUFFER.size);
  buffer.writeBigUInt64LE(0n, BUFFER.position);
}

const positionOf = (buffer: Buffer): number => Number(buffer.readBigUInt64LE(BUFFER.position));

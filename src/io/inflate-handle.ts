import { constants, createGunzip, createZstdDecompress } from 'node:zlib';
import { problemOf } from './inflate-trial.ts';
import { type Inflatable, type Inflater, ZSTD_WINDOW_LOG_MAX } from './inflater.ts';

/** What zlib's streams keep behind their public face, as far as it is used here. */
interface Internals {
  readonly _handle: {
    writeSync(
      flush: number,
      input: Uint8Array,
      inputOffset: number,
      inputLength: number,
      output: Uint8Array,
      outputOffset: number,
      outputLength: number,
    ): void;
    onerror: (message: string, errno: number, code: string) => void;
  } | null;
  /** Output and input left after a call. */
  readonly _writeState: Uint32Array;
  on(event: 'error', listener: (error: Error) => void): void;
  destroy(): void;
}

/** A function, since Node's constants would load its module for whoever imports this one. */
const flushesOf = (kind: Inflatable): { readonly more: number; readonly end: number } =>
  kind === 'gzip'
    ? { more: constants.Z_NO_FLUSH, end: constants.Z_FINISH }
    : { more: constants.ZSTD_e_continue, end: constants.ZSTD_e_end };
const EMPTY = new Uint8Array();

/**
 * Inflates with zlib's own handle into buffers of ours: about half the CPU time of the public
 * streams, which allocate a buffer for every chunk and are asynchronous besides.
 *
 * The handle is not part of Node's documented interface, and aborts the process when it is called
 * after an error: see {@link handleWorks}.
 */
export function handleInflater(kind: Inflatable): Inflater {
  const [stream, flushes] = [open(kind), flushesOf(kind)];
  const [handle, state] = [stream._handle!, stream._writeState];
  const scratch = new Uint8Array(1);
  let failure: string | undefined;
  handle.onerror = (message) => {
    failure = message;
  };
  const call = (flush: number, input: Uint8Array, into: Uint8Array): void => {
    if (failure === undefined)
      handle.writeSync(flush, input, 0, input.length, into, 0, into.length);
    if (failure !== undefined) throw new Error(failure);
  };
  return {
    step(input, into) {
      call(flushes.more, input, into);
      return { used: input.length - state[1]!, made: into.length - state[0]! };
    },
    finish: () => call(flushes.end, EMPTY, scratch),
    close: () => stream.destroy(),
  };
}

function open(kind: Inflatable): Internals {
  const zstd = { params: { [constants.ZSTD_d_windowLogMax]: ZSTD_WINDOW_LOG_MAX } };
  const stream = kind === 'gzip' ? createGunzip() : createZstdDecompress(zstd);
  const internals = stream as unknown as Internals;
  internals.on('error', () => {});
  return internals;
}

let works: boolean | undefined;

/** Whether this Node's zlib is built as expected: tried once. */
export const handleWorks = (): boolean => (works ??= selfTest());

function selfTest(): boolean {
  const probe = open('gzip');
  const known =
    typeof probe._handle?.writeSync === 'function' &&
    probe._writeState instanceof Uint32Array &&
    probe._writeState.length >= 2;
  probe.destroy();
  if (!known) return false;
  return problemOf(() => handleInflater('gzip')) === undefined;
}

import { MicaError } from '../errors.ts';
import { constants, createGunzip, createZstdDecompress, gzipSync } from 'node:zlib';

/** Inflates step by step, synchronously. */
export interface Inflater {
  /**
   * At most `into.length` bytes of output from `input`.
   * @returns how much of the input was used, and of the output made
   * @throws Error when the input is damaged
   */
  step(input: Uint8Array, into: Uint8Array): { readonly used: number; readonly made: number };
  /** @throws Error when the input so far ends inside a stream */
  finish(into: Uint8Array): void;
  close(): void;
}

/** What zlib's streams keep behind their public face, as far as it is used here. */
interface Internals {
  readonly _handle: {
    writeSync(
      flush: number,
      input: Uint8Array | null,
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

/** Windows of up to 128 MiB (`zstd --long`), libzstd's own limit: what a hostile frame can make us allocate. */
const ZSTD_WINDOW_LOG_MAX = 27;

export type Inflatable = 'gzip' | 'zstd';

const FLUSH: Readonly<Record<Inflatable, { readonly more: number; readonly end: number }>> = {
  gzip: { more: constants.Z_NO_FLUSH, end: constants.Z_FINISH },
  zstd: { more: constants.ZSTD_e_continue, end: constants.ZSTD_e_end },
};
const EMPTY = new Uint8Array();

/**
 * Inflates with zlib's own handle into buffers of ours: about half the CPU time of the public
 * streams, which allocate a buffer for every chunk and are asynchronous besides.
 *
 * The handle is not part of Node's documented interface and aborts the process when it is misused,
 * so it is tried once, on right and on wrong input, before it is trusted.
 * @throws NOT_IMPLEMENTED when this Node's zlib is built otherwise
 */
export function openInflater(kind: Inflatable): Inflater {
  trusted ??= handleWorks();
  if (!trusted)
    throw new MicaError(
      'NOT_IMPLEMENTED',
      `the zlib of Node ${process.versions.node} works otherwise than that of Node 24; run Mica with the Node it was installed with`,
    );
  return byHandle(kind);
}

let trusted: boolean | undefined;

function open(kind: Inflatable): Internals {
  const zstd = { params: { [constants.ZSTD_d_windowLogMax]: ZSTD_WINDOW_LOG_MAX } };
  const stream = kind === 'gzip' ? createGunzip() : createZstdDecompress(zstd);
  const internals = stream as unknown as Internals;
  internals.on('error', () => {});
  return internals;
}

function byHandle(kind: Inflatable): Inflater {
  const stream = open(kind);
  const [handle, state] = [stream._handle!, stream._writeState];
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
      call(FLUSH[kind].more, input, into);
      return { used: input.length - state[1]!, made: into.length - state[0]! };
    },
    finish: (into) => call(FLUSH[kind].end, EMPTY, into),
    close: () => stream.destroy(),
  };
}

/** Right bytes from right input, and an error from wrong input. */
function handleWorks(): boolean {
  const probe = open('gzip');
  const known =
    typeof probe._handle?.writeSync === 'function' &&
    probe._writeState instanceof Uint32Array &&
    probe._writeState.length >= 2;
  probe.destroy();
  if (!known) return false;
  const plain = Buffer.from('mica'.repeat(1000));
  const packed = gzipSync(plain);
  const into = Buffer.alloc(plain.length + 100);
  const [good, bad] = [byHandle('gzip'), byHandle('gzip')];
  try {
    const { used, made } = good.step(packed, into);
    good.finish(into.subarray(made));
    if (used !== packed.length || !plain.equals(into.subarray(0, made))) return false;
    bad.step(plain, into);
    return false;
  } catch {
    return true;
  } finally {
    good.close();
    bad.close();
  }
}

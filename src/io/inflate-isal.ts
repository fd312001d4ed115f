import { MicaError } from '../errors.ts';
import { addressOf } from '../sys/binding.ts';
import { type Library, openLibrary } from '../sys/library.ts';
import { gzipHeader } from './gzip-header.ts';
import { problemOf } from './inflate-trial.ts';
import type { Inflater, Step } from './inflater.ts';

const LIBRARY = 'libisal.so.2';
/** The first two return nothing. */
const FUNCTIONS = {
  isal_inflate_init: ['int', 1],
  isal_inflate_reset: ['int', 1],
  isal_inflate: ['int', 1],
} as const;

let library: Library<typeof FUNCTIONS> | undefined;

/**
 * Fields of `struct inflate_state`, as versions 2.30 and 2.31 have it on x86-64 and arm64.
 * @see https://github.com/intel/isa-l/blob/v2.31.0/include/igzip_lib.h
 */
const FIELD = {
  next_out: 0,
  avail_out: 8,
  next_in: 16,
  avail_in: 32,
  block_state: 21_160,
  crc_flag: 21_172,
} as const;
/** What the structure takes, and what is given to it, in bytes: what lies between must stay as it was. */
const [STATE_SIZE, STATE_ROOM] = [87_368, 96 * 1024];
const CANARY = 0xa5;

/** Values of `crc_flag` and `block_state`: a gzip member after its header, with its checksum; it is over. */
const [ISAL_GZIP_NO_HDR_VER, ISAL_BLOCK_FINISH] = [6, 5];

/** Results of `isal_inflate` below 0. */
const ERRORS: Readonly<Record<number, string>> = {
  [-1]: 'invalid deflate block',
  [-2]: 'invalid symbol',
  [-3]: 'a distance too far back',
  [-4]: 'invalid gzip header',
  [-5]: 'unknown compression method',
  [-6]: 'incorrect data check',
};
/** 0 to 2: done for now, wants input, wants room. */
const MAX_GOOD = 2;

/**
 * Inflates gzip with Intel's ISA-L, in half of zlib's time. To be trusted when {@link isalProblem}
 * finds nothing.
 * @throws NOT_IMPLEMENTED when the library is not there
 */
export const isalInflater = (): Inflater => inflaterOn(spare.pop() ?? newState());

/** States of inflaters that are closed. */
const spare: Buffer[] = [];

function inflaterOn(state: Buffer): Inflater {
  const { isal_inflate_init, isal_inflate, isal_inflate_reset } = isal();
  const at = addressOf(state);
  isal_inflate_init(at);
  state.writeUInt32LE(ISAL_GZIP_NO_HDR_VER, FIELD.crc_flag);
  let failed = false;
  // The library forgets what a header's flags were when that comes in two pieces.
  let header = gzipHeader();

  /** @returns how much of the input was header; `undefined` when there is nothing to do: between members only another one counts, not padding */
  const prepare = (input: Uint8Array, into: Uint8Array): number | undefined => {
    if (failed) throw new Error('inflating failed before');
    if (isOver(state)) {
      if (input.length === 0 || input[0] === 0) return undefined;
      isal_inflate_reset(at);
      state.writeUInt32LE(ISAL_GZIP_NO_HDR_VER, FIELD.crc_flag);
      header = gzipHeader();
    }
    const skipped = takeHeader(input);
    const body = input.subarray(skipped);
    state.writeBigUInt64LE(BigInt(addressOf(body)), FIELD.next_in);
    state.writeUInt32LE(body.length, FIELD.avail_in);
    state.writeBigUInt64LE(BigInt(addressOf(into)), FIELD.next_out);
    state.writeUInt32LE(into.length, FIELD.avail_out);
    return skipped;
  };
  const takeHeader = (input: Uint8Array): number => {
    if (header.isWhole) return 0;
    try {
      return header.take(input);
    } catch (error) {
      failed = true;
      throw error;
    }
  };
  const outcome = (result: number, input: Uint8Array, into: Uint8Array): Step => {
    failed = result < 0 || result > MAX_GOOD;
    if (failed) throw new Error(ERRORS[result] ?? `isal_inflate returned ${result}`);
    return {
      used: input.length - state.readUInt32LE(FIELD.avail_in),
      made: into.length - state.readUInt32LE(FIELD.avail_out),
    };
  };
  return {
    step(input, into) {
      const skipped = prepare(input, into);
      if (skipped === undefined) return NOTHING;
      return header.isWhole ? outcome(isal_inflate(at), input, into) : { used: skipped, made: 0 };
    },
    async later(input, into) {
      const skipped = prepare(input, into);
      if (skipped === undefined) return NOTHING;
      if (!header.isWhole) return { used: skipped, made: 0 };
      return outcome(await isal_inflate.later(at), input, into);
    },
    finish() {
      if (failed || !isOver(state)) throw new Error('unexpected end of file');
    },
    close: () => void spare.push(state),
  };
}

let problem: string | undefined;
let tried = false;

/** Why ISA-L is not used on this machine, for people; `undefined`: it is. Tried once. */
export function isalProblem(): string | undefined {
  if (!tried) problem = tryOut();
  tried = true;
  return problem;
}

function tryOut(): string | undefined {
  const states: Buffer[] = [];
  const open = (): Inflater => {
    const state = newState();
    states.push(state);
    return inflaterOn(state);
  };
  try {
    const wrong = problemOf(open);
    const canary = Buffer.alloc(STATE_ROOM - STATE_SIZE, CANARY);
    const isOverrun = states.some((state) => !state.subarray(STATE_SIZE).equals(canary));
    if (wrong === undefined && !isOverrun) return undefined;
    return `${LIBRARY} failed its trial: ${wrong ?? 'its state is larger than that of any known version'}`;
  } catch (error) {
    if (error instanceof MicaError) return error.message;
    throw error;
  }
}

const NOTHING: Step = { used: 0, made: 0 };

const isal = (): Library<typeof FUNCTIONS> => (library ??= openLibrary(LIBRARY, FUNCTIONS));

const isOver = (state: Buffer): boolean =>
  state.readUInt32LE(FIELD.block_state) === ISAL_BLOCK_FINISH;

const newState = (): Buffer => Buffer.allocUnsafeSlow(STATE_ROOM).fill(CANARY, STATE_SIZE);

import { MicaError } from '../errors.ts';
import { foreignFunctions, hasKernel } from './binding.ts';
import { undisturbed } from './undisturbed.ts';

/** What a function of C returns, as C calls it; an address is an `int64_t`. */
export interface Results {
  readonly int: number;
  readonly int64_t: number;
  readonly str: string;
}

/** A function of a C library. Its parameters are integers; an address (see `addressOf`) is one. */
export interface Foreign<Result> {
  (...parameters: number[]): Result;
  /** The same on a thread of the pool. What lies at its addresses must live until it settles. */
  readonly later: (...parameters: number[]) => Promise<Result>;
}

/** By name: what it returns, and how many parameters it takes. */
export type Signatures = Readonly<Record<string, readonly [keyof Results, number]>>;

export type Library<Functions extends Signatures> = {
  readonly [Name in keyof Functions]: Foreign<Results[Functions[Name][0]]>;
};

/**
 * Loads a shared library of the system, found as the dynamic linker finds it.
 * @param file - `null`: whatever this program is linked with
 * @throws NOT_IMPLEMENTED when it or one of the functions is not there
 */
export function openLibrary<const Functions extends Signatures>(
  file: string | null,
  signatures: Functions,
): Library<Functions> {
  try {
    if (!hasKernel()) throw new Error('only on Linux');
    return undisturbed(() => bind(file, signatures));
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    const what = file ?? 'of this program';
    throw new MicaError('NOT_IMPLEMENTED', `load the library ${what}: ${why}`, { cause });
  }
}

function bind<Functions extends Signatures>(
  file: string | null,
  signatures: Functions,
): Library<Functions> {
  const library = foreignFunctions().load(file);
  const functions = Object.entries(signatures).map(([name, [result, count]]) => {
    const call = library.func(name, result, Array<string>(count).fill('int64_t'));
    const now = (...parameters: number[]): unknown => call(...parameters);
    return [name, Object.assign(now, { later: inBackground(call) })] as const;
  });
  return Object.fromEntries(functions) as unknown as Library<Functions>;
}

type Done = (error: Error | null, result: unknown) => void;

interface Background {
  async(...call: [...parameters: number[], done: Done]): void;
}

const inBackground =
  (call: Background) =>
  (...parameters: number[]): Promise<unknown> =>
    new Promise((resolve, reject) => {
      call.async(...parameters, (error, result) => {
        if (error) reject(error);
        else resolve(result);
      });
    });

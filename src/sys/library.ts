import { MicaError } from '../errors.ts';
import { foreignFunctions, hasKernel } from './binding.ts';

/** A function of a C library that takes one address (see `addressOf`) and returns an `int`, or nothing. */
export interface Foreign {
  (address: number): number;
  /** The same on a thread of the pool. What lies at the address must live until it settles. */
  readonly later: (address: number) => Promise<number>;
}

/**
 * Loads a shared library of the system, found as the dynamic linker finds it.
 * @throws NOT_IMPLEMENTED when it or one of the functions is not there
 */
export function openLibrary<Name extends string>(
  file: string,
  names: readonly Name[],
): Readonly<Record<Name, Foreign>> {
  try {
    if (!hasKernel()) throw new Error('only on Linux');
    const library = foreignFunctions().load(file);
    const functions = names.map((name) => {
      const call = library.func(name, 'int', ['int64_t']);
      const now = (address: number): number => call(address) as number;
      return [name, Object.assign(now, { later: inBackground(call) })] as const;
    });
    return Object.fromEntries(functions) as Record<Name, Foreign>;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new MicaError('NOT_IMPLEMENTED', `load the library ${file}: ${why}`, { cause });
  }
}

interface Background {
  async(address: number, done: (error: Error | null, result: number) => void): void;
}

const inBackground =
  (call: Background): Foreign['later'] =>
  (address) =>
    new Promise((resolve, reject) => {
      call.async(address, (error, result) => {
        if (error) reject(error);
        else resolve(result);
      });
    });

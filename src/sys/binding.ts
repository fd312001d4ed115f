import { createRequire } from 'node:module';
import { MicaError } from '../errors.ts';
import { writeBytes } from './byte-string.ts';
import { undisturbed } from './undisturbed.ts';

/**
 * The door to the kernel: system calls by number, with addresses of buffers as plain integers.
 * The native binding is loaded at the first call, so that importing this costs nothing elsewhere.
 */

type Syscall = (
  nr: number,
  a: number,
  b: number,
  c: number,
  d: number,
  e: number,
  f: number,
) => number;

type Background = (
  ...parameters: [...Parameters<Syscall>, done: (error: Error | null, result: number) => void]
) => void;

interface Native {
  readonly syscall: Syscall & { readonly async: Background };
  readonly errno: () => number;
  readonly address: (buffer: Uint8Array) => bigint;
}

let native: Native | undefined;

/**
 * The binding itself, for what has other prototypes. Its addon is loaded directly where it can be found: koffi's
 * own way there, through two scripts that look at the machine, takes 6 ms instead of 1.
 */
export function foreignFunctions(): Binding {
  const require = createRequire(import.meta.url);
  const { platform, arch } = process;
  try {
    return require(`@koromix/koffi-${platform}-${arch}/${platform}_${arch}/koffi.node`) as Binding;
  } catch {
    // Installed elsewhere, or made for another C library.
    return require('koffi') as Binding;
  }
}

export type Binding = Pick<
  typeof import('koffi'),
  | 'load'
  | 'errno'
  | 'address'
  | 'struct'
  | 'array'
  | 'pointer'
  | 'out'
  | 'inout'
  | 'sizeof'
  | 'offsetof'
>;

/** Whether this machine is one whose kernel can be called: Linux on x86-64 or arm64. */
export const hasKernel = (): boolean =>
  process.platform === 'linux' && (process.arch === 'x64' || process.arch === 'arm64');

function load(): Native {
  if (!hasKernel())
    throw new MicaError(
      'NOT_IMPLEMENTED',
      `kernel calls need Linux on x64 or arm64, this is ${process.platform} on ${process.arch}; storage driver tar works without them`,
    );
  try {
    return (native = undisturbed(bind));
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new MicaError('NOT_IMPLEMENTED', `load the native binding koffi: ${why}`, { cause });
  }
}

function bind(): Native {
  const koffi = foreignFunctions();
  // Not declared variadic: syscall(2) takes longs only, and a fixed prototype is faster to call.
  const call = koffi.load(null).func(
    'syscall',
    'int64_t',
    Array.from({ length: 7 }, () => 'int64_t'),
  ) as Native['syscall'];
  return {
    syscall: call,
    errno: () => koffi.errno(),
    address: (buffer) => koffi.address(buffer),
  };
}

/** Performs a system call; a failure is returned as the negative errno. */
export function syscall(nr: number, a = 0, b = 0, c = 0, d = 0, e = 0, f = 0): number {
  const kernel = native ?? load();
  const result = kernel.syscall(nr, a, b, c, d, e, f);
  return result < 0 ? -kernel.errno() : result;
}

/** The same on a thread of the pool, for the few calls that wait for a disk; it takes no buffers. */
export function syscallInBackground(nr: number, a = 0, b = 0): Promise<number> {
  const kernel = native ?? load();
  return new Promise((resolve, reject) => {
    kernel.syscall.async(nr, a, b, 0, 0, 0, 0, (error, result) => {
      if (error) reject(error);
      else resolve(result < 0 ? -kernel.errno() : result);
    });
  });
}

const addresses = new WeakMap<ArrayBufferLike, number>();

/**
 * Where `bytes` lies in memory, valid while its buffer lives. The caller keeps a reference to it
 * until the call that uses the address returns.
 */
export function addressOf(bytes: Uint8Array): number {
  // Asking for `buffer` moves a small typed array out of the collector's heap for good.
  const { buffer } = bytes;
  let base = addresses.get(buffer);
  if (base === undefined) {
    base = Number((native ?? load()).address(new Uint8Array(buffer)));
    addresses.set(buffer, base);
  }
  return base + bytes.byteOffset;
}

const NAME_ROOM = 4096;
let names: Buffer | undefined;
const places = [0, 0, 0];

/**
 * Copies a byte string, NUL-terminated, to one of three fixed places, and tells its address. The
 * place is overwritten by the next use of the same slot.
 * @returns 0 when it is too long for any path, or holds a NUL: the caller fails with EINVAL.
 */
export function cstring(text: string, slot: 0 | 1 | 2 = 0): number {
  if (names === undefined) {
    names = Buffer.allocUnsafeSlow(NAME_ROOM * places.length);
    for (let i = 0; i < places.length; i++) places[i] = addressOf(names) + i * NAME_ROOM;
  }
  if (text.length >= NAME_ROOM || text.includes('\0')) return 0;
  const start = slot * NAME_ROOM;
  names[start + writeBytes(names, text, start)] = 0;
  return places[slot]!;
}

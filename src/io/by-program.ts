import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { MicaError } from '../errors.ts';
import type { Abortable, Bytes } from './bytes.ts';
import { SNIFF_LENGTH } from './compression.ts';
import { withStart } from './with-start.ts';

/** Compressions that Node does not have, with who reads them: docker lets a program read xz, too. */
const PROGRAMS = {
  xz: {
    magic: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00],
    // xz -9 needs 65 MiB to be read; what wants more is no archive of honest people.
    command: ['xz', '-dcq', '--memlimit-decompress=256MiB'],
    package: 'xz-utils',
  },
  bzip2: {
    // In full: `BZh` alone could be the first name in an archive.
    magic: [0x42, 0x5a, 0x68, undefined, 0x31, 0x41, 0x59, 0x26, 0x53, 0x59],
    command: ['bzip2', '-dcq'],
    package: 'bzip2',
  },
} as const;

type ProgramCompression = keyof typeof PROGRAMS;

/** Which of them begins so, in {@link SNIFF_LENGTH} bytes; `undefined`: something else. */
export function sniffProgramCompression(start: Uint8Array): ProgramCompression | undefined {
  const names = Object.keys(PROGRAMS) as ProgramCompression[];
  return names.find((name) =>
    PROGRAMS[name].magic.every((byte, at) => byte === undefined || start[at] === byte),
  );
}

/**
 * Expands `stored` by the program that reads this compression. The program ends when nobody reads on.
 * @throws NOT_IMPLEMENTED without the program · DATA_LOSS for what it cannot read
 */
async function* decompressByProgram(
  stored: Bytes,
  compression: ProgramCompression,
  { signal }: Abortable = {},
): Bytes {
  signal?.throwIfAborted();
  const { command, package: from } = PROGRAMS[compression];
  const [program, ...args] = command;
  const child = spawn(program, args, { stdio: 'pipe' });
  const end = once(child, 'close') as Promise<[number | null]>;
  end.catch(() => {});
  let said = '';
  child.stderr.on('data', (text: Buffer) => (said = (said + text.toString()).slice(0, 300)));
  const failed = new AbortController();
  const both = AbortSignal.any([failed.signal, ...(signal ? [signal] : [])]);
  const fed = pipeline(Readable.from(stored, { objectMode: false }), child.stdin, { signal: both });
  // What the source throws is told; that the program has ended is told better by its exit code.
  const lost = fed.then(
    () => undefined,
    (error: NodeJS.ErrnoException) => (error.code === 'EPIPE' ? undefined : error),
  );
  try {
    for await (const chunk of child.stdout as AsyncIterable<Uint8Array>) {
      signal?.throwIfAborted();
      yield chunk;
    }
    const [code] = await end;
    const error = await lost;
    signal?.throwIfAborted();
    if (error !== undefined) throw error;
    if (code !== 0)
      throw new MicaError('DATA_LOSS', `${compression}: ${said.trim() || 'the data are damaged'}`);
  } catch (error) {
    if (!(error as NodeJS.ErrnoException).syscall?.startsWith('spawn')) throw error;
    throw new MicaError(
      'NOT_IMPLEMENTED',
      `what is compressed with ${compression} is read by the program ${program}, which is not there; install it (package ${from}), or compress with gzip or zstd`,
      { cause: error },
    );
  } finally {
    failed.abort();
    child.kill();
  }
}

/** The same bytes, but expanded if they are compressed with what only a program reads. */
export async function* withoutProgramCompression(stored: Bytes, options: Abortable = {}): Bytes {
  const chunks = withStart(stored, SNIFF_LENGTH)[Symbol.asyncIterator]();
  const first = await chunks.next();
  if (first.done === true) return;
  const all = (async function* (): Bytes {
    yield first.value;
    yield* { [Symbol.asyncIterator]: () => chunks };
  })();
  const compression = sniffProgramCompression(first.value);
  if (compression === undefined) yield* all;
  else yield* decompressByProgram(all, compression, options);
}

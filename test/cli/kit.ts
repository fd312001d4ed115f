import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { run } from '../../src/cli/run.ts';
import type { OutputStream } from '../../src/cli/output.ts';
import { type Origin, openOrigin } from '../support/origin.ts';

/** What a command line came to. */
export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Standard output as it came. */
  readonly bytes: Buffer;
}

export interface Surroundings {
  readonly stdin?: string | Uint8Array;
  /** Standard output and error are a terminal of this width. */
  readonly columns?: number;
  readonly rows?: number;
  readonly signal?: AbortSignal;
}

/** A store, a registry, and the command line between them. */
export interface Kit extends AsyncDisposable {
  readonly origin: Origin;
  /** `127.0.0.1:<port>` */
  readonly registry: string;
  readonly root: string;
  /** A directory for whatever a test writes. */
  readonly directory: string;
  /** Runs `mica ARGS` on the store; `REG` in an argument is the registry. */
  mica(args: readonly string[], surroundings?: Surroundings): Promise<Outcome>;
  /** As {@link mica}, of one text or of words; fails unless the exit code is 0. The registry's address reads `REG`. */
  ok(line: string | readonly string[], surroundings?: Surroundings): Promise<string>;
}

export async function openKit(place?: string): Promise<Kit> {
  await using stack = new AsyncDisposableStack();
  // The program that is built leaves work to processes that go on by themselves, and may still write.
  const patience = { recursive: true, force: true, maxRetries: 20, retryDelay: 100 };
  const own = stack.adopt(await mkdtemp(join(tmpdir(), 'mica-cli-')), (path) => rm(path, patience));
  const directory = place ?? own;
  const origin = stack.use(await openOrigin());
  const registry = new URL(origin.url).host;
  const root = join(directory, 'store');
  const mica = (args: readonly string[], surroundings: Surroundings = {}): Promise<Outcome> =>
    runMica(
      // The driver that needs nothing: what is tested here is the command line.
      [
        '--root',
        root,
        '--storage-driver',
        'tar',
        ...args.map((arg) => arg.replaceAll('REG', registry)),
      ],
      surroundings,
    );
  const all = stack.move();
  return {
    origin,
    registry,
    root,
    directory,
    mica,
    async ok(line, surroundings) {
      const { code, stdout, stderr } = await mica(
        typeof line === 'string' ? line.split(' ') : line,
        surroundings,
      );
      if (code !== 0)
        throw new Error(`mica ${String(line)}: exit code ${code}\n${stdout}${stderr}`);
      return stdout.replaceAll(registry, 'REG').replaceAll(root, 'ROOT');
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

/** What `npm run build` made, to run the tests with; they run the sources otherwise, in their own process. */
const PROGRAM = process.env['MICA_TEST_PROGRAM'];

/** Runs one command line. */
export async function runMica(
  args: readonly string[],
  surroundings: Surroundings = {},
): Promise<Outcome> {
  // A stream of our own can pretend to be a terminal, and an interrupt come at the right moment.
  const { columns, signal, stdin } = surroundings;
  return PROGRAM === undefined || columns !== undefined || signal !== undefined
    ? runHere(args, surroundings)
    : runProgram(PROGRAM, args, stdin);
}

async function runHere(
  args: readonly string[],
  { stdin = '', columns, rows = 24, signal = new AbortController().signal }: Surroundings,
): Promise<Outcome> {
  const [stdout, stderr] = [collector(columns, rows), collector(columns, rows)];
  const streams = {
    stdin: Readable.from([Buffer.from(stdin)]),
    stdout: stdout.stream,
    stderr: stderr.stream,
  };
  const code = await run(args, streams, signal);
  const bytes = stdout.bytes();
  return { code, stdout: bytes.toString(), stderr: stderr.bytes().toString(), bytes };
}

async function runProgram(
  program: string,
  args: readonly string[],
  stdin: string | Uint8Array = '',
): Promise<Outcome> {
  const child = spawn(process.execPath, [program, ...args], { stdio: 'pipe' });
  const ended = once(child, 'close');
  // A program that reads nothing may have ended before.
  child.stdin.on('error', () => undefined).end(stdin);
  const [bytes, stderr] = await Promise.all([buffer(child.stdout), buffer(child.stderr), ended]);
  const code = child.exitCode ?? 128 + constants.signals[child.signalCode!];
  return { code, stdout: bytes.toString(), stderr: stderr.toString(), bytes };
}

function collector(
  columns: number | undefined,
  rows: number,
): { stream: OutputStream; bytes: () => Buffer } {
  const chunks: Buffer[] = [];
  const stream = new PassThrough();
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  const terminal =
    columns === undefined ? {} : { isTTY: true, columns, rows, hasColors: () => false };
  return { stream: Object.assign(stream, terminal), bytes: () => Buffer.concat(chunks) };
}

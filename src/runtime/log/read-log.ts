import { watch } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { errnoOf, fromNode } from '../../sys/errno.ts';
import { isWatched, RUN_FILES } from '../state.ts';
import { LineFile } from './line-file.ts';

export interface LogEntry {
  readonly stream: 'stdout' | 'stderr';
  /** With its end of line, if it had one. */
  readonly text: string;
  /** RFC 3339. */
  readonly time: string;
}

export interface LogQuery {
  /** Goes on until the container has ended. */
  readonly follow?: boolean | undefined;
  /** Only the last so many entries of what is there. */
  readonly tail?: number | undefined;
  /** Milliseconds since 1970. */
  readonly since?: number | undefined;
  readonly until?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The log of the container of `directory`, oldest entry first, across the files it was divided into.
 * Lines that are damaged, as after a power failure, are left out.
 */
export async function* readLog(directory: string, query: LogQuery = {}): AsyncGenerator<LogEntry> {
  const { since = -Infinity, until = Infinity, signal } = query;
  for await (const line of linesOf(directory, query)) {
    signal?.throwIfAborted();
    const entry = parseEntry(line);
    if (entry === undefined) continue;
    const time = Date.parse(entry.time);
    if (time > until) return;
    if (time >= since) yield entry;
  }
}

async function* linesOf(
  directory: string,
  { tail, follow = false, signal }: LogQuery,
): AsyncGenerator<string> {
  const path = join(directory, RUN_FILES.log);
  using opened = new DisposableStack();
  const old = openAll(path, opened);
  const wanted = tail === undefined ? old : newest(old, tail);
  for (const file of wanted) yield* file.lines();
  if (!follow) return;
  let current = old.at(-1);
  using changes = new Changes(directory);
  for (;;) {
    const alive = isWatched(directory);
    if (current !== undefined) yield* current.lines();
    const next = LineFile.open(path);
    if (next !== undefined && next.inode !== current?.inode) {
      // What was written to the old one before it was put aside.
      if (current !== undefined) yield* current.lines();
      current = opened.use(next);
      continue;
    }
    next?.[Symbol.dispose]();
    // Nothing can have come after a look that found nobody to write.
    if (!alive) return;
    await changes.next(signal);
  }
}

/** All files of the log, oldest first. */
function openAll(path: string, opened: DisposableStack): LineFile[] {
  const found: LineFile[] = [];
  // The current one first: when it is put aside meanwhile, it is found again under another name.
  for (let number = 0; ; number++) {
    const file = LineFile.open(number === 0 ? path : `${path}.${number}`);
    if (file !== undefined) opened.use(file);
    else if (number > 0) return found;
    if (file !== undefined && !found.some(({ inode }) => inode === file.inode)) found.unshift(file);
  }
}

/** Those that hold the last `count` lines, each set to where these begin. */
function newest(files: readonly LineFile[], count: number): LineFile[] {
  let left = count;
  const wanted: LineFile[] = [];
  for (const file of files.toReversed()) {
    const here = file.skipToLast(left);
    if (left > 0) wanted.unshift(file);
    left -= here;
  }
  return wanted;
}

function parseEntry(line: string): LogEntry | undefined {
  try {
    const { log, stream, time } = JSON.parse(line) as Record<string, unknown>;
    if (typeof log !== 'string' || typeof time !== 'string') return undefined;
    return { text: log, stream: stream === 'stderr' ? 'stderr' : 'stdout', time };
  } catch {
    return undefined;
  }
}

/** In milliseconds. The end of a monitor is not always told by a file. */
const AT_LEAST_EVERY = 500;

/** A user may have so many (128 instances by default), and other programs have them all. */
const NO_WATCH_LEFT: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE', 'ENOSPC']);

/** Tells when a file of a directory may have changed; where the kernel watches nothing more, now and then. */
class Changes implements Disposable {
  readonly #watcher: ReturnType<typeof watch> | undefined;
  #changed = Promise.withResolvers<void>();

  constructor(directory: string) {
    try {
      this.#watcher = watch(directory, () => this.#changed.resolve());
    } catch (error) {
      if (!NO_WATCH_LEFT.has(errnoOf(error) ?? '')) throw fromNode(error);
    }
    this.#watcher?.on('error', () => undefined);
  }

  async next(signal: AbortSignal | undefined): Promise<void> {
    const done = new AbortController();
    const either = signal === undefined ? done.signal : AbortSignal.any([signal, done.signal]);
    const timer = setTimeout(AT_LEAST_EVERY, undefined, { signal: either }).catch(() => undefined);
    await Promise.race([this.#changed.promise, timer]);
    done.abort();
    this.#changed = Promise.withResolvers();
    signal?.throwIfAborted();
  }

  [Symbol.dispose](): void {
    this.#watcher?.close();
  }
}

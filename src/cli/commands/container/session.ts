import { constants } from 'node:os';
import { MicaError } from '../../../errors.ts';
import type { Attachment } from '../../../runtime/attachment.ts';
import { detachKeys } from '../../../runtime/detach-keys.ts';
import type { Cli } from '../../cli.ts';
import { Interrupted } from '../../failure.ts';
import { takeSignals } from '../../signals.ts';

export interface SessionOptions {
  readonly tty: boolean;
  /** What of its output is shown. Default: all. */
  readonly shows?: ReadonlySet<'stdout' | 'stderr'> | undefined;
  /** Whether our input goes to the process. */
  readonly stdin: boolean;
  readonly detachKeys?: string | undefined;
  /** Hands a signal that we got to the process. */
  readonly onSignal?: ((number: number) => Promise<void>) | undefined;
}

/**
 * Lets the user and a process talk, until the process ends or the user leaves.
 * @returns its exit code; `undefined`: it runs on
 */
export async function session(
  cli: Cli,
  attachment: Attachment,
  options: SessionOptions,
): Promise<number | undefined> {
  using ends = new DisposableStack();
  const left = Promise.withResolvers<undefined>();
  if (options.stdin) ends.use(sendInput(cli, attachment, options, () => left.resolve(undefined)));
  if (options.tty) ends.use(followSize(cli, attachment));
  ends.use(passSignals(cli, options, left.reject));
  return await Promise.race([left.promise, showOutput(cli, attachment, options.shows)]);
}

async function showOutput(
  cli: Cli,
  { output, exit }: Attachment,
  shows: SessionOptions['shows'],
): Promise<number> {
  for await (const { stream, data } of output)
    if (shows?.has(stream) !== false) await (stream === 'stdout' ? cli.out : cli.err).write(data);
  return (await exit).exitCode;
}

function sendInput(
  { stdin }: Cli,
  attachment: Attachment,
  { tty, detachKeys: keys }: SessionOptions,
  leave: () => void,
): Disposable {
  // Checked before the terminal is changed.
  const watch = tty ? detachKeys(keys) : undefined;
  const raw = tty && stdin.isTTY === true;
  if (raw) stdin.setRawMode?.(true);
  const onData = (chunk: Buffer | string): void => {
    const bytes = Buffer.from(chunk as Buffer);
    const { data, detached } = watch?.push(bytes) ?? { data: bytes, detached: false };
    if (data.length > 0) {
      stdin.pause();
      void attachment.write(data).then(() => stdin.resume());
    }
    if (detached) leave();
  };
  const onEnd = (): void => attachment.endInput();
  stdin.on('data', onData).once('end', onEnd).once('error', onEnd);
  return {
    [Symbol.dispose]() {
      if (raw) stdin.setRawMode?.(false);
      stdin.off('data', onData).off('end', onEnd).off('error', onEnd).pause();
      // Not to be read by anybody any more: an open pipe would keep us.
      stdin.destroy();
    },
  };
}

/** Of the terminal; 24 lines of 80 where there is none. */
export const sizeOf = ({ out }: Cli): { readonly rows: number; readonly columns: number } => ({
  rows: out.stream.rows ?? 24,
  columns: out.stream.columns ?? 80,
});

function followSize(cli: Cli, attachment: Attachment): Disposable {
  const { stream } = cli.out;
  const onResize = (): void => {
    const { rows, columns } = sizeOf(cli);
    attachment.resize(rows, columns);
  };
  stream.on('resize', onResize);
  return { [Symbol.dispose]: () => void stream.off('resize', onResize) };
}

function passSignals(
  { signal }: Cli,
  { onSignal }: SessionOptions,
  stop: (reason: unknown) => void,
): Disposable {
  const pass = (by: Interrupted['by']): void =>
    // It may have ended at this moment; then that is what is told.
    void onSignal?.(constants.signals[by]).catch(() => undefined);
  const onAbort = (): void => {
    const { reason } = signal as { reason: unknown };
    if (reason instanceof Interrupted && onSignal !== undefined) pass(reason.by);
    else stop(reason);
  };
  using ends = new DisposableStack();
  if (onSignal !== undefined) ends.use(takeSignals(pass));
  if (signal.aborted) onAbort();
  signal.addEventListener('abort', onAbort, { once: true });
  ends.defer(() => signal.removeEventListener('abort', onAbort));
  return ends.move();
}

/** @throws INVALID_ARGUMENT when a terminal is wanted for input that is none, as docker has it */
export function requireTerminal(cli: Cli, { tty, stdin: input }: SessionOptions): void {
  if (tty && input && cli.stdin.isTTY !== true)
    throw new MicaError(
      'INVALID_ARGUMENT',
      'the input device is not a terminal; leave out -t, or use a terminal',
    );
}

import { createInterface } from 'node:readline/promises';
import { MicaError } from '../errors.ts';
import type { Cli } from './cli.ts';
import { Interrupted } from './failure.ts';

/** Longer secrets, or a whole file by mistake, are refused. */
const MAX_SECRET = 64 * 1024;

/** Everything on standard input, without the line break at its end. */
export async function readSecret({ stdin, signal }: Cli): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of stdin) {
    signal.throwIfAborted();
    const bytes = Buffer.from(chunk as Uint8Array);
    length += bytes.length;
    if (length > MAX_SECRET) throw new MicaError('INVALID_ARGUMENT', 'the password is too long');
    chunks.push(bytes);
  }
  return Buffer.concat(chunks)
    .toString('utf8')
    .replace(/\r?\n$/, '');
}

/**
 * Asks on the terminal. Whoever ends the input there has answered with nothing.
 * @throws FAILED_PRECONDITION without one; Interrupted
 */
export async function ask(cli: Cli, question: string): Promise<string> {
  requireTerminal(cli, question);
  const { signal } = cli;
  const line = createInterface({ input: cli.stdin, output: cli.err.stream });
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  // In raw mode the terminal sends no signals.
  line.once('SIGINT', () => reject(new Interrupted('SIGINT')));
  // What was typed before the end is told first, as a line that nobody has asked for.
  line.once('line', resolve).once('close', () => setImmediate(() => resolve('')));
  line.question(question, { signal }).then(resolve, () => {
    if (signal.aborted) reject(signal.reason);
    else resolve('');
  });
  try {
    return await promise;
  } finally {
    line.close();
  }
}

/** As {@link ask}, but nothing that is typed is shown. */
export async function askSecret(cli: Cli, question: string): Promise<string> {
  requireTerminal(cli, question);
  const { stdin, err } = cli;
  await err.write(question);
  stdin.setRawMode?.(true);
  try {
    return await readHidden(cli);
  } finally {
    stdin.setRawMode?.(false);
    await err.write('\n');
  }
}

/** @throws FAILED_PRECONDITION unless the answer is yes */
export async function confirm(cli: Cli, question: string): Promise<void> {
  const answer = await ask(cli, `${question} [y/N] `);
  if (!/^y(?:es)?$/i.test(answer.trim()))
    throw new MicaError('FAILED_PRECONDITION', 'cancelled; nothing was changed');
}

function requireTerminal({ stdin }: Cli, question: string): void {
  if (stdin.isTTY !== true)
    throw new MicaError(
      'FAILED_PRECONDITION',
      `cannot ask ${JSON.stringify(question.trim())}: standard input is not a terminal`,
    );
}

const [ENTER, LINE_FEED, END, INTERRUPT, BACKSPACE, DELETE, ERASE_LINE] = [
  '\r',
  '\n',
  '\u0004',
  '\u0003',
  '\b',
  '\u007f',
  '\u0015',
];

/** What has been typed so far, in raw mode: the terminal edits nothing and sends no signals, a few keys are done here. */
class Typed {
  text = '';

  /** @returns whether the line is complete @throws Interrupted */
  add(keys: string): boolean {
    for (const key of keys) {
      if (key === ENTER || key === LINE_FEED || key === END) return true;
      if (key === INTERRUPT) throw new Interrupted('SIGINT');
      if (key === BACKSPACE || key === DELETE)
        this.text = Array.from(this.text).slice(0, -1).join('');
      else if (key === ERASE_LINE) this.text = '';
      else if (this.text.length < MAX_SECRET) this.text += key;
    }
    return false;
  }
}

async function readHidden({ stdin, signal }: Cli): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const typed = new Typed();
  const onData = (chunk: Buffer | string): void => {
    try {
      if (typed.add(String(chunk))) resolve(typed.text);
    } catch (error) {
      reject(error);
    }
  };
  const onEnd = (): void => resolve(typed.text);
  const onAbort = (): void => reject(signal.reason);
  signal.addEventListener('abort', onAbort);
  // Not iterated: a stream that readline has paused would not begin again.
  stdin.on('data', onData).once('end', onEnd).resume();
  try {
    return await promise;
  } finally {
    signal.removeEventListener('abort', onAbort);
    stdin.off('data', onData).off('end', onEnd).pause();
  }
}

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

/** Asks on the terminal. @throws FAILED_PRECONDITION without one */
export async function ask(cli: Cli, question: string): Promise<string> {
  requireTerminal(cli, question);
  const line = createInterface({ input: cli.stdin, output: cli.err.stream });
  try {
    return await line.question(question, { signal: cli.signal });
  } finally {
    line.close();
  }
}

/** As {@link ask}, but nothing that is typed is shown. */
export async function askSecret(cli: Cli, question: string): Promise<string> {
  requireTerminal(cli, question);
  const { stdin, err, signal } = cli;
  await err.write(question);
  stdin.setRawMode?.(true);
  const stop = (): unknown => stdin.destroy();
  signal.addEventListener('abort', stop);
  try {
    return await readHidden(cli);
  } finally {
    signal.removeEventListener('abort', stop);
    stdin.setRawMode?.(false);
    stdin.pause();
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

/** In raw mode the terminal edits nothing and sends no signals: a few keys are done here. */
async function readHidden({ stdin, signal }: Cli): Promise<string> {
  const typed: string[] = [];
  for await (const chunk of stdin.iterator({ destroyOnReturn: false })) {
    signal.throwIfAborted();
    for (const key of String(chunk)) {
      if (key === ENTER || key === LINE_FEED || key === END) return typed.join('');
      if (key === INTERRUPT) throw new Interrupted('SIGINT');
      if (key === BACKSPACE || key === DELETE) typed.pop();
      else if (key === ERASE_LINE) typed.length = 0;
      else if (typed.length < MAX_SECRET) typed.push(key);
    }
  }
  signal.throwIfAborted();
  return typed.join('');
}

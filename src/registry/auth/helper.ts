import { spawn } from 'node:child_process';
import { MicaError } from '../../errors.ts';
import type { Abortable } from '../../io/bytes.ts';
import { harmless } from '../error.ts';
import type { Credential } from '../options.ts';

const TIME_LIMIT = 30_000;
const MAX_OUTPUT = 64 * 1024;

/**
 * Asks the program `docker-credential-<name>`, which keeps secrets in the desktop's key ring or
 * gets them from a cloud.
 *
 * @see https://github.com/docker/docker-credential-helpers
 */
export async function helperGet(
  name: string,
  server: string,
  options: Abortable = {},
): Promise<Credential | undefined> {
  const { exitCode, output } = await run(name, 'get', server, options);
  if (exitCode !== 0) {
    if (/credentials not found|no credentials server URL/i.test(output)) return undefined;
    throw failed(name, 'get', output);
  }
  let value: unknown;
  try {
    value = JSON.parse(output);
  } catch {
    // The text may hold the secret: it must not get into an error.
    throw failed(name, 'get', 'its answer is not JSON');
  }
  const { Username: username, Secret: secret } = Object(value) as Record<string, unknown>;
  if (typeof username !== 'string' || typeof secret !== 'string')
    throw failed(name, 'get', 'its answer has no user name and secret');
  if (username === '' && secret === '') return undefined;
  return username === IDENTITY ? { username: '', secret, identity: true } : { username, secret };
}

export async function helperStore(
  name: string,
  server: string,
  { username, secret, identity }: Credential,
  options: Abortable = {},
): Promise<void> {
  const Username = identity ? IDENTITY : username;
  const input = JSON.stringify({ ServerURL: server, Username, Secret: secret });
  const { exitCode, output } = await run(name, 'store', input, options);
  if (exitCode !== 0) throw failed(name, 'store', output);
}

export async function helperErase(
  name: string,
  server: string,
  options: Abortable = {},
): Promise<void> {
  const { exitCode, output } = await run(name, 'erase', server, options);
  if (exitCode !== 0 && !/credentials not found/i.test(output)) throw failed(name, 'erase', output);
}

/** The user name that marks an identity token. */
const IDENTITY = '<token>';

const failed = (name: string, verb: string, output: string): MicaError =>
  new MicaError(
    'FAILED_PRECONDITION',
    `docker-credential-${name} ${verb} failed: ${harmless(output, 300)}`,
  );

interface Result {
  readonly exitCode: number;
  readonly output: string;
}

function run(name: string, verb: string, input: string, { signal }: Abortable): Promise<Result> {
  signal?.throwIfAborted();
  if (!/^[\w.-]+$/.test(name))
    throw new MicaError(
      'FAILED_PRECONDITION',
      `${JSON.stringify(name)} is not a credential helper`,
    );
  const { promise, resolve, reject } = Promise.withResolvers<Result>();
  const limit = AbortSignal.timeout(TIME_LIMIT);
  const child = spawn(`docker-credential-${name}`, [verb], {
    stdio: ['pipe', 'pipe', 'ignore'],
    signal: signal ? AbortSignal.any([signal, limit]) : limit,
    killSignal: 'SIGKILL',
  });
  let output = '';
  child.stdout.setEncoding('utf8');
  child.stdout.on('data', (text: string) => {
    if (output.length < MAX_OUTPUT) output += text;
  });
  child.on('error', (cause) => {
    if (signal?.aborted) reject(signal.reason as Error);
    else if (limit.aborted) reject(failed(name, verb, `no answer within ${TIME_LIMIT / 1000} s`));
    else reject(notStarted(name, cause));
  });
  child.on('close', (exitCode) => resolve({ exitCode: exitCode ?? -1, output }));
  // A helper that does not read its input closes it under us.
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  return promise;
}

function notStarted(name: string, cause: Error): MicaError {
  const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
  return new MicaError(
    'FAILED_PRECONDITION',
    `credential helper docker-credential-${name} ${missing ? 'is not installed, but the configuration of docker names it' : `cannot be run: ${cause.message}`}`,
    { cause },
  );
}

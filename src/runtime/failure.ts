import { type ErrorCode, MicaError } from '../errors.ts';

/** A container, or a process in one, that did not start. */
export class StartError extends MicaError {
  override readonly name: string = 'StartError';
  /** As Docker has it: 127 no such command, 126 it cannot be executed, 125 anything else. */
  readonly exitCode: number;

  constructor(code: ErrorCode, message: string, exitCode: number) {
    super(code, message);
    this.exitCode = exitCode;
  }
}

const CASES: readonly (readonly [RegExp, ErrorCode, number])[] = [
  [
    /executable file .*not found|exec:? \S+: (?:stat .*)?no such file or directory/i,
    'NOT_FOUND',
    127,
  ],
  [
    /(?:exec|executable|execve?)\b.*(?:permission denied|not permitted|exec format error|is a directory|not a directory)/i,
    'FAILED_PRECONDITION',
    126,
  ],
];

/**
 * Reads why a runtime failed from its JSON log.
 * @param what was attempted
 */
export function startError(what: string, log: string, status: string): StartError {
  const said = lastError(log) ?? status;
  const known = CASES.find(([pattern]) => pattern.test(said));
  const [code, exitCode] =
    known === undefined ? (['INTERNAL', 125] as const) : [known[1], known[2]];
  return new StartError(code, `${what}: ${said}`, exitCode);
}

/** Runtimes log a line for each complaint; the last is what made them give up. */
function lastError(log: string): string | undefined {
  let found: string | undefined;
  for (const line of log.split('\n')) {
    try {
      const { level, msg } = JSON.parse(line) as { level?: unknown; msg?: unknown };
      if ((level === 'error' || level === 'fatal') && typeof msg === 'string') found = msg;
    } catch {}
  }
  return found?.replace(
    /^runc (?:run|create|start|exec) failed: (?:unable to start container process: )?/,
    '',
  );
}

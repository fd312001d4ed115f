import { MicaError } from '../errors.ts';
import type { Abortable } from '../io/bytes.ts';
import type { RetryEvent } from '../registry/options.ts';
import type { Context } from './context.ts';

interface Reporting extends Abortable {
  readonly onProgress?: ((event: { readonly type: 'retry' } & RetryEvent) => void) | undefined;
}

/**
 * Runs an operation that may talk to registries: requests that are tried again are told, and
 * errors say what was attempted, e.g. `pull docker.io/library/redis:latest`.
 */
export async function attempt<Result>(
  context: Context,
  what: string,
  { signal, onProgress }: Reporting,
  run: () => Promise<Result>,
): Promise<Result> {
  using _ = tellRetries(context, onProgress);
  try {
    return await run();
  } catch (error) {
    if (signal?.aborted || !(error instanceof MicaError)) throw error;
    throw new MicaError(error.code, `${what}: ${withoutName(error, what)}`, { cause: error });
  }
}

/** Requests to registries that are tried again are told until this is disposed. */
export function tellRetries(context: Context, onProgress: Reporting['onProgress']): Disposable {
  const listen = (event: RetryEvent): void => onProgress?.({ type: 'retry', ...event });
  context.onRetry.add(listen);
  return { [Symbol.dispose]: () => void context.onRetry.delete(listen) };
}

/** A registry names what was asked for, too: once is enough. */
function withoutName({ message }: MicaError, what: string): string {
  const again = `${what.slice(what.indexOf(' ') + 1)}: `;
  return message.startsWith(again) ? message.slice(again.length) : message;
}

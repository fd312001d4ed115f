import { setTimeout as sleep } from 'node:timers/promises';
import type { Descriptor } from '../../oci/descriptor.ts';
import { RegistryError } from '../error.ts';
import type { RetryEvent, RetryPolicy } from '../options.ts';
import { isTransient } from './failure.ts';

export interface RetryOptions {
  readonly policy: { readonly [Name in keyof RetryPolicy]-?: number };
  readonly onRetry?: ((event: RetryEvent) => void) | undefined;
  readonly target?: Descriptor | undefined;
}

const GROWTH = 2.5;

/** Counts the failures of one piece of work, and waits between its attempts. */
export class Retries {
  readonly #options: RetryOptions;
  #failures = 0;

  constructor(options: RetryOptions) {
    this.#options = options;
  }

  /** The work went on: what failed before no longer counts. */
  progress(): void {
    this.#failures = 0;
  }

  /** Waits until it is time for the next attempt. @throws `error`, when there should be none */
  async after(error: unknown, signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    const { policy, onRetry, target } = this.#options;
    const asked = error instanceof RegistryError ? (error.retryAfter ?? 0) : 0;
    this.#failures++;
    if (!isTransient(error) || this.#failures >= policy.attempts || asked > policy.maxDelay)
      throw error;
    const grown = policy.delay * GROWTH ** (this.#failures - 1) * (0.5 + Math.random());
    const delay = Math.round(Math.max(asked, Math.min(grown, policy.maxDelay)));
    onRetry?.({ target, reason: (error as Error).message, delay });
    await sleep(delay, undefined, { signal }).catch(() => undefined);
    signal?.throwIfAborted();
  }
}

/** `Retry-After` in milliseconds from now: seconds, or a date. */
export function parseRetryAfter(value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000;
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(0, date - Date.now());
}

import { type ErrorCode, MicaError } from '../errors.ts';
import { errnoOf } from '../sys/errno.ts';

/** Removed layers whose storage cannot be reached now: their rows stay until it is, and nothing else waits for it. */
export interface WaitingRemovals {
  readonly driver: string;
  /** Why they are not gone. */
  readonly reason: string;
  readonly layers: number;
}

/**
 * What kept layers from being removed while a store was opened. That must not keep anybody from
 * opening it: a pool may be gone for a day, or for good.
 */
export class Waiting {
  readonly #reasons = new Map<string, { driver: string; reason: string; layers: number }>();
  /** Drivers that nothing can be asked of now, and why. */
  readonly #unreachable = new Map<string, string>();

  get all(): WaitingRemovals[] {
    return [...this.#reasons.values()];
  }

  /**
   * Lets `erase` remove a layer; if that fails, it is written down why. Of a driver that cannot be
   * reached it is tried once.
   * @returns whether the layer is gone
   */
  async attempt(driver: string, erase: () => Promise<void>): Promise<boolean> {
    const known = this.#unreachable.get(driver);
    if (known !== undefined) return this.#note(driver, known);
    try {
      await erase();
      return true;
    } catch (error) {
      if (!(error instanceof MicaError)) throw error;
      if (isOutOfReach(error) && errnoOf(error) !== 'EBUSY')
        this.#unreachable.set(driver, error.message);
      return this.#note(driver, error.message);
    }
  }

  #note(driver: string, reason: string): false {
    const key = `${driver} ${reason}`;
    const { layers = 0 } = this.#reasons.get(key) ?? {};
    this.#reasons.set(key, { driver, reason, layers: layers + 1 });
    return false;
  }
}

/** Whether what layers lie on is not there now: a pool that is not imported, a daemon that does not run, a kernel without the driver. */
export const isOutOfReach = (error: unknown): error is MicaError =>
  error instanceof MicaError && OUT_OF_REACH.has(error.code);

const OUT_OF_REACH: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'UNAVAILABLE',
  'NOT_FOUND',
  'FAILED_PRECONDITION',
  'NOT_IMPLEMENTED',
]);

import { Interrupted } from './failure.ts';
import { SIGNAL_CODE } from './exit-code.ts';

/**
 * Aborts at the first SIGINT, SIGTERM or SIGHUP, so that what is open is closed in order; the
 * second one ends the process on the spot.
 */
export function abortOnSignals(): AbortSignal {
  const stop = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(name, () => {
      if (stop.signal.aborted) process.exit(SIGNAL_CODE[name]);
      stop.abort(new Interrupted(name));
    });
  return stop.signal;
}

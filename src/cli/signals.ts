import { Interrupted } from './failure.ts';
import { SIGNAL_CODE } from './exit-code.ts';

type Receive = (by: Interrupted['by']) => void;

let receiver: Receive | undefined;

/** As many requests to end as a process that gets them itself may outlive, as in docker. */
const PATIENCE = 3;

/**
 * Aborts at the first SIGINT, SIGTERM or SIGHUP, so that what is open is closed in order; the
 * second one ends the process on the spot, or goes to who takes them by {@link takeSignals}.
 */
export function abortOnSignals(): AbortSignal {
  const stop = new AbortController();
  let requests = 0;
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(name, () => {
      // To many programs SIGHUP means to read their configuration again.
      if (name !== 'SIGHUP') requests++;
      if (!stop.signal.aborted) return stop.abort(new Interrupted(name));
      if (receiver === undefined) process.exit(SIGNAL_CODE[name]);
      if (requests < PATIENCE || name === 'SIGHUP') return receiver(name);
      process.stderr.write(`mica: got ${PATIENCE} SIGTERM/SIGINTs, forcefully exiting\n`);
      process.exit(SIGNAL_CODE[name]);
    });
  return stop.signal;
}

/** Hands `receive` each signal after the first one, which aborts, until it is disposed of. */
export function takeSignals(receive: Receive): Disposable {
  receiver = receive;
  return { [Symbol.dispose]: () => void (receiver = undefined) };
}

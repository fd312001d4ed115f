const NAMES = new Set(
  (
    'ABRT ALRM BUS CHLD CLD CONT FPE HUP ILL INT IO IOT KILL PIPE POLL PROF PWR QUIT SEGV STKFLT ' +
    'STOP SYS TERM TRAP TSTP TTIN TTOU URG USR1 USR2 VTALRM WINCH XCPU XFSZ'
  ).split(' '),
);

const MAX_SIGNAL = 64;
/** SIGRTMIN is 34: C libraries keep two for themselves. */
const REALTIME = MAX_SIGNAL - 34;

/**
 * Whether a `StopSignal` means something: a name of Linux, with or without `SIG`, or a number. What
 * this machine has does not count: images are made for others.
 */
export function isStopSignal(text: string): boolean {
  if (/^\d{1,2}$/.test(text)) return Number(text) >= 1 && Number(text) <= MAX_SIGNAL;
  const name = text.toUpperCase().replace(/^SIG/, '');
  const [, steps] = /^(?:RTMIN\+|RTMAX-)(\d{1,2})$/.exec(name) ?? [];
  if (steps !== undefined) return Number(steps) <= REALTIME;
  return NAMES.has(name) || name === 'RTMIN' || name === 'RTMAX';
}

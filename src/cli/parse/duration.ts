import { MicaError } from '../../errors.ts';

const UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** `24h`, `1h30m`, `90s`, also days; in milliseconds. `undefined`: it is no duration. */
export function parseDuration(text: string): number | undefined {
  if (!/^(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+$/.test(text)) return undefined;
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/([\d.]+)(ms|s|m|h|d)/g))
    total += Number(amount) * UNITS[unit!]!;
  return total;
}

/**
 * docker's `until`: a time, seconds since 1970, or how long ago.
 * @param what - what it is given as, for the message
 * @throws INVALID_ARGUMENT
 */
export function parseUntil(text: string, what = 'until', now: number = Date.now()): Date {
  const ago = parseDuration(text);
  const given = /^\d+(?:\.\d+)?$/.test(text) ? Number(text) * 1000 : Date.parse(text);
  const time = ago === undefined ? given : now - ago;
  // Nor what is farther away than a date can be.
  if (!Number.isNaN(new Date(time).getTime())) return new Date(time);
  throw new MicaError(
    'INVALID_ARGUMENT',
    `${what}=${text}: neither a duration like 24h nor a time like 2026-01-31T12:00:00Z`,
  );
}

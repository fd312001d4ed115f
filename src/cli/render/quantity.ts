import prettyBytes from 'pretty-bytes';

/** A size as docker prints it: three digits, decimal units, no space. `164MB` */
export const size = (bytes: number): string => prettyBytes(bytes, { space: false });

/** `1 file`, `3 files` */
export const count = (number: number, noun: string): string =>
  `${number} ${noun}${number === 1 ? '' : 's'}`;

/** When an image says it was made; 1970, as docker has it, when it says nothing that is a time. */
export function timeOf(text: string | undefined): Date {
  const time = new Date(text ?? 0);
  return Number.isNaN(time.getTime()) ? new Date(0) : time;
}

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const WEEK = 7 * DAY;
const MONTH = 30 * DAY;
const YEAR = 365 * DAY;

/**
 * How long ago, in docker's words.
 * @see https://github.com/docker/go-units/blob/v0.5.0/duration.go
 */
export function ago(time: Date, now: Date = new Date()): string {
  return `${duration(now.getTime() - time.getTime())} ago`;
}

/** @param milliseconds negative ones are less than a second */
export function duration(milliseconds: number): string {
  const seconds = Math.trunc(milliseconds / 1000);
  if (seconds < 1) return 'Less than a second';
  if (seconds < MINUTE) return count(seconds, 'second');
  if (seconds < 2 * MINUTE) return 'About a minute';
  if (seconds < HOUR) return `${Math.floor(seconds / MINUTE)} minutes`;
  const hours = Math.floor(seconds / HOUR + 0.5);
  if (hours === 1) return 'About an hour';
  if (hours < 48) return `${hours} hours`;
  const rounded = hours * HOUR;
  if (rounded < 2 * WEEK) return `${Math.floor(rounded / DAY)} days`;
  if (rounded < 2 * MONTH) return `${Math.floor(rounded / WEEK)} weeks`;
  if (rounded < 2 * YEAR) return `${Math.floor(rounded / MONTH)} months`;
  return `${Math.floor(seconds / YEAR)} years`;
}

/** Time of the processor, as ps(1) prints it: `01:02:03`, from a day on `1-02:03:04`. */
export function clock(milliseconds: number): string {
  const seconds = Math.floor(milliseconds / 1000);
  const days = Math.floor(seconds / DAY);
  const rest = new Date((seconds % DAY) * 1000).toISOString().slice(11, 19);
  return days > 0 ? `${days}-${rest}` : rest;
}

/** When it was, here, as ps(1) prints it: `15:04`. @param milliseconds since 1970 */
export const timeOfDay = (milliseconds: number): string =>
  new Date(milliseconds).toTimeString().slice(0, 5);

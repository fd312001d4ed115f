/** What a terminal might obey, and `JSON.stringify` leaves as it is. Only strings can hold it. */
// oxlint-disable-next-line no-control-regex
const UNSAFE = /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** `value` for programs: indented JSON that is safe to look at. */
export const json = (value: unknown): string =>
  `${escapeJson(JSON.stringify(value, undefined, 2))}\n`;

/** The same on one line. */
export const jsonLine = (value: unknown): string => `${escapeJson(JSON.stringify(value))}\n`;

/** The same meaning, with nothing in it that a terminal would obey. */
export const escapeJson = (text: string): string =>
  text.replace(UNSAFE, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);

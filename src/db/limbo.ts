/** What has come or was unpacked, and was not named within this time, is nobody's work any more. In milliseconds: a day. */
export const LIMBO: number = 24 * 60 * 60 * 1000;

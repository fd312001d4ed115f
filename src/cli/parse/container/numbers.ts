import { MicaError } from '../../../errors.ts';
import { parseBytes } from '../../../io/parse-bytes.ts';

export function integer(flag: string, text: string): number {
  if (/^-?\d{1,15}$/.test(text)) return Number(text);
  throw new MicaError('INVALID_ARGUMENT', `${flag} ${text} is no whole number`);
}

export function positive(flag: string, text: string): number {
  if (/^\d{1,9}(?:\.\d+)?$/.test(text) && Number(text) > 0) return Number(text);
  throw new MicaError('INVALID_ARGUMENT', `${flag} ${text} is no number above zero`);
}

/** -1: no limit. */
export const bytesOrUnlimited = (text: string): number => (text === '-1' ? -1 : parseBytes(text));

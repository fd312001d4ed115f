import { MicaError } from '../errors.ts';

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  k: 2 ** 10,
  m: 2 ** 20,
  g: 2 ** 30,
  t: 2 ** 40,
};

/** docker's sizes of memory: `512m`, `1.5g`, `64mb`, powers of two. @throws INVALID_ARGUMENT */
export function parseBytes(text: string): number {
  const [, number, unit] = /^(\d+(?:\.\d+)?)([kmgt]?)i?b?$/i.exec(text.trim()) ?? [];
  const bytes =
    number === undefined ? NaN : Math.floor(Number(number) * UNITS[unit!.toLowerCase()]!);
  if (Number.isSafeInteger(bytes)) return bytes;
  throw new MicaError('INVALID_ARGUMENT', `${JSON.stringify(text)} is no size like 512m or 2g`);
}

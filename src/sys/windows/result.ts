import { type ErrorCode, MicaError } from '../../errors.ts';

/** What errors of Windows mean, by the number that `GetLastError` and the lower half of an HRESULT have. */
const CODES: Readonly<Record<number, ErrorCode>> = {
  2: 'NOT_FOUND',
  3: 'NOT_FOUND',
  5: 'PERMISSION_DENIED',
  8: 'RESOURCE_EXHAUSTED',
  32: 'CONFLICT',
  80: 'ALREADY_EXISTS',
  87: 'INVALID_ARGUMENT',
  112: 'RESOURCE_EXHAUSTED',
  183: 'ALREADY_EXISTS',
  1314: 'PERMISSION_DENIED',
};

/** @param error - of Win32 */
export const windowsError = (what: string, error: number): MicaError =>
  new MicaError(
    CODES[error] ?? 'INTERNAL',
    `${what}: error ${error} of Windows${CODES[error] === 'PERMISSION_DENIED' ? '; run it as administrator' : ''}`,
  );

/** @throws what a failed HRESULT means */
export function checkResult(what: string, result: number): void {
  if (result >= 0) return;
  const bits = result >>> 0;
  // Facility 7 is Win32's own numbers.
  if ((bits & 0x7fff0000) === 0x00070000) throw windowsError(what, bits & 0xffff);
  throw new MicaError('INTERNAL', `${what}: HRESULT 0x${bits.toString(16)} of Windows`);
}

import { MicaError } from '../../errors.ts';
import type { CreateOptions } from '../driver.ts';

/** For drivers without quota. @throws NOT_IMPLEMENTED when a limit is asked for */
export function refuseLimit(driver: string, { maxSize }: CreateOptions = {}): void {
  if (maxSize === undefined) return;
  throw new MicaError(
    'NOT_IMPLEMENTED',
    `storage driver ${driver} cannot limit the size of a writable layer; put the store on a file system of that size, or use a driver with quotas (docs/drivers)`,
  );
}

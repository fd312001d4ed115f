import { MicaError } from '../../errors.ts';
import type { DiffId } from '../../oci/digest.ts';
import type { Driver } from '../../snapshot/driver.ts';

/** Of how many different layers a driver would have to show a stack, and cannot. */
export interface TooDeep {
  readonly driver: string;
  readonly most: number;
  readonly layers: number;
}

/** `undefined`: the driver can mount an image of these layers. */
export function depthBeyond(
  { name: driver, depth: most }: Pick<Driver, 'name' | 'depth'>,
  diffIds: readonly DiffId[],
): TooDeep | undefined {
  const layers = new Set(diffIds).size;
  return most === undefined || layers <= most ? undefined : { driver, most, layers };
}

/** An image that can be read, copied and squashed here, but not mounted. */
export const warningOf = ({ driver, most, layers }: TooDeep): string =>
  `the image has ${layers} layers, and storage driver ${driver} stacks ${most}: it can be neither mounted nor run; \`mica squash NAME -t NEW\` makes one that can, or \`mica migrate --driver erofs\` (or vfs) changes the store`;

/** What somebody wants to mount is not even fetched. */
export const refusalOf = ({ driver, most, layers }: TooDeep): MicaError =>
  new MicaError(
    'NOT_IMPLEMENTED',
    `the image has ${layers} layers, and storage driver ${driver} stacks ${most}; change the store with \`mica migrate --driver erofs\` (or vfs), or \`mica pull\` the image and run what \`mica squash NAME -t NEW\` makes of it`,
  );

import { statSync } from 'node:fs';
import { MicaError } from '../../errors.ts';
import { majorOf, minorOf } from '../../sys/at.ts';
import type { BlockIo, DiskNumber, DiskRate } from './oci-spec.ts';
import type { DeviceLimit, ResourceOptions } from './options.ts';

/**
 * What a container may have of disks.
 * @throws INVALID_ARGUMENT for a weight that is none; NOT_FOUND for a disk that is not there
 */
export function blockIoOf(options: ResourceOptions): BlockIo | undefined {
  const { blkioWeight, blkioWeightDevice } = options;
  const { deviceReadBps, deviceWriteBps, deviceReadIops, deviceWriteIops } = options;
  const all: BlockIo = {
    ...(blkioWeight !== undefined && { weight: weightOf(blkioWeight) }),
    ...(blkioWeightDevice && {
      weightDevice: blkioWeightDevice.map(({ path, value }) => ({
        ...numberOf(path),
        weight: weightOf(value),
      })),
    }),
    ...(deviceReadBps && { throttleReadBpsDevice: deviceReadBps.map(rateOf) }),
    ...(deviceWriteBps && { throttleWriteBpsDevice: deviceWriteBps.map(rateOf) }),
    ...(deviceReadIops && { throttleReadIOPSDevice: deviceReadIops.map(rateOf) }),
    ...(deviceWriteIops && { throttleWriteIOPSDevice: deviceWriteIops.map(rateOf) }),
  };
  return Object.keys(all).length > 0 ? all : undefined;
}

function weightOf(weight: number): number {
  if (weight === 0 || (weight >= 10 && weight <= 1000)) return weight;
  throw new MicaError('INVALID_ARGUMENT', `a weight of ${weight} is not between 10 and 1000`);
}

const rateOf = ({ path, value }: DeviceLimit): DiskRate => ({ ...numberOf(path), rate: value });

function numberOf(path: string): DiskNumber {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined)
    throw new MicaError('NOT_FOUND', `limit of the disk ${path}: it does not exist`);
  if (!stat.isBlockDevice())
    throw new MicaError('INVALID_ARGUMENT', `limit of the disk ${path}: it is no block device`);
  return { major: majorOf(stat.rdev), minor: minorOf(stat.rdev) };
}

import { MicaError } from '../../../errors.ts';
import type { Backing, FileSystem, State } from './state.ts';

/** What the driver can be told: docker's options `dm.…`. All but the last two count when the pool is made only. */
export interface DeviceMapperOptions {
  /** An active thin pool that nobody else uses. */
  readonly thinPool?: string;
  /** Block devices to make one of. */
  readonly dataDevice?: string;
  readonly metadataDevice?: string;
  /** Sizes of the sparse files that a pool is made of when nothing else is given, in bytes. */
  readonly loopDataSize?: number;
  readonly loopMetadataSize?: number;
  /** Of each file system, in bytes. */
  readonly baseSize?: number;
  readonly fileSystem?: FileSystem;
  /** Percent of the pool's data and metadata that must be free for something new. */
  readonly minFreeSpace?: number;
  /** Whether what is deleted is discarded first. */
  readonly discard?: boolean;
}

const GIB = 2 ** 30;
/** Docker's. */
const DEFAULTS = {
  loopDataSize: 100 * GIB,
  loopMetadataSize: 2 * GIB,
  baseSize: 10 * GIB,
} as const;
export const MIN_FREE_SPACE = 10;

/** What the options say a new pool is made of. @throws INVALID_ARGUMENT for options that exclude each other */
export function backingOf(options: DeviceMapperOptions): Backing {
  const { thinPool, dataDevice, metadataDevice, loopDataSize, loopMetadataSize } = options;
  const loop = loopDataSize !== undefined || loopMetadataSize !== undefined;
  const devices = dataDevice !== undefined || metadataDevice !== undefined;
  if (Number(thinPool !== undefined) + Number(loop) + Number(devices) > 1)
    throw new MicaError(
      'INVALID_ARGUMENT',
      'storage driver devicemapper: the pool is given (dm.thinpooldev), made of devices (dm.datadev and dm.metadatadev), or made of files (dm.loopdatasize, dm.loopmetadatasize), one of these',
    );
  if (thinPool !== undefined) return { kind: 'pool', path: thinPool };
  if (!devices)
    return {
      kind: 'loop',
      dataSize: loopDataSize ?? DEFAULTS.loopDataSize,
      metadataSize: loopMetadataSize ?? DEFAULTS.loopMetadataSize,
    };
  if (dataDevice === undefined || metadataDevice === undefined)
    throw new MicaError(
      'INVALID_ARGUMENT',
      'storage driver devicemapper: a pool of devices needs dm.datadev and dm.metadatadev',
    );
  return { kind: 'devices', data: dataDevice, metadata: metadataDevice };
}

export const fileSystemOf = ({ fileSystem = 'ext4' }: DeviceMapperOptions): FileSystem =>
  fileSystem;

/** In whole blocks of the pool: no device ends within one. */
export const baseSizeOf = ({ baseSize = DEFAULTS.baseSize }: DeviceMapperOptions): number =>
  Math.ceil(baseSize / POOL_BLOCK) * POOL_BLOCK;

/** Of a pool of ours, in bytes. */
export const POOL_BLOCK: number = 64 * 1024;

/**
 * What a pool was made with stays: an option that says otherwise is a mistake.
 * @throws FAILED_PRECONDITION
 */
export function refuseOthers(
  { backing, fileSystem, baseSize }: State,
  options: DeviceMapperOptions,
): void {
  const isBackingTold = [
    'thinPool',
    'dataDevice',
    'metadataDevice',
    'loopDataSize',
    'loopMetadataSize',
  ].some((key) => options[key as keyof DeviceMapperOptions] !== undefined);
  const wrong =
    isBackingTold && !isSame(backingOf(options), backing)
      ? describeBacking(backing)
      : options.fileSystem !== undefined && options.fileSystem !== fileSystem
        ? `dm.fs=${fileSystem}`
        : options.baseSize !== undefined && baseSizeOf(options) !== baseSize
          ? `dm.basesize=${baseSize}`
          : undefined;
  if (wrong === undefined) return;
  throw new MicaError(
    'FAILED_PRECONDITION',
    `storage driver devicemapper: the store was made with ${wrong}, which stays; leave the option out, or use another --root`,
  );
}

const isSame = (one: Backing, other: Backing): boolean =>
  describeBacking(one) === describeBacking(other);

/** As the options that make it so. */
export function describeBacking(backing: Backing): string {
  if (backing.kind === 'pool') return `dm.thinpooldev=${backing.path}`;
  if (backing.kind === 'devices')
    return `dm.datadev=${backing.data} dm.metadatadev=${backing.metadata}`;
  return `dm.loopdatasize=${backing.dataSize} dm.loopmetadatasize=${backing.metadataSize}`;
}

import { MicaError } from '../../errors.ts';
import { parseBytes } from '../../io/parse-bytes.ts';
import type { DeviceMapperOptions } from './devicemapper/settings.ts';
import { isDatasetName } from './zfs/dataset-name.ts';

/** What drivers can be told, by driver. */
export interface DriverOptions {
  readonly erofs: {
    /** The kernel reads tars past their page cache. */
    readonly directio?: boolean;
  };
  readonly btrfs: {
    /** No writable layer is bounded to less, in bytes. */
    readonly minSpace?: number;
  };
  readonly dm: DeviceMapperOptions;
  readonly 'fuse-overlayfs': IdMaps;
  readonly zfs: {
    /** The dataset below which a store makes its own. */
    readonly fsname?: string;
  };
}

/** As in `/proc/self/uid_map`, in one line: id in a layer, id that is shown, how many. */
export interface IdMaps {
  readonly uidmapping?: string;
  readonly gidmapping?: string;
}

const ID_MAP = 'ID:SHOWN:COUNT[:ID:SHOWN:COUNT…]';

/** Each option: what it is, for people, and what a value of it says. */
const OPTIONS: Readonly<Record<string, readonly [form: string, parse: Parse]>> = {
  'erofs.directio': ['true|false', (text) => ({ erofs: { directio: parseFlag(text) } })],
  'btrfs.min_space': ['BYTES', (text) => ({ btrfs: { minSpace: parseBytes(text) } })],
  'dm.thinpooldev': ['PATH', (text) => ({ dm: { thinPool: parsePath(text) } })],
  'dm.datadev': ['PATH', (text) => ({ dm: { dataDevice: parsePath(text) } })],
  'dm.metadatadev': ['PATH', (text) => ({ dm: { metadataDevice: parsePath(text) } })],
  'dm.loopdatasize': ['BYTES', (text) => ({ dm: { loopDataSize: parseBytes(text) } })],
  'dm.loopmetadatasize': ['BYTES', (text) => ({ dm: { loopMetadataSize: parseBytes(text) } })],
  'dm.basesize': ['BYTES', (text) => ({ dm: { baseSize: parseBytes(text) } })],
  'dm.fs': ['ext4|xfs', (text) => ({ dm: { fileSystem: parseFileSystem(text) } })],
  'dm.min_free_space': ['PERCENT%', (text) => ({ dm: { minFreeSpace: parsePercent(text) } })],
  'dm.blkdiscard': ['true|false', (text) => ({ dm: { discard: parseFlag(text) } })],
  'fuse-overlayfs.uidmapping': [
    ID_MAP,
    (text) => ({ 'fuse-overlayfs': { uidmapping: parseIdMap(text) } }),
  ],
  'fuse-overlayfs.gidmapping': [
    ID_MAP,
    (text) => ({ 'fuse-overlayfs': { gidmapping: parseIdMap(text) } }),
  ],
  'zfs.fsname': ['POOL/NAME', (text) => ({ zfs: { fsname: parseDataset(text) } })],
};

type Parse = (text: string) => Partial<DriverOptions>;

/**
 * Parses Docker's `storage-opts`: `<driver>.<option>=<value>`, of whatever driver.
 * @throws INVALID_ARGUMENT for one that does not exist
 */
export function parseDriverOptions(given: readonly string[]): DriverOptions {
  const parsed: DriverOptions = { erofs: {}, btrfs: {}, dm: {}, zfs: {}, 'fuse-overlayfs': {} };
  for (const option of given) {
    const [, name = '', value = ''] = /^([^=]*)=(.*)$/.exec(option) ?? [];
    const [, parse] = Object.hasOwn(OPTIONS, name) ? OPTIONS[name]! : [];
    if (parse === undefined) throw unknown(option);
    for (const [driver, said] of Object.entries(valueOf(option, () => parse(value))))
      Object.assign(parsed[driver as keyof DriverOptions], said);
  }
  return parsed;
}

/** Says which option it is that has a wrong value. */
function valueOf<T>(option: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof MicaError)) throw error;
    throw new MicaError(error.code, `storage option ${option}: ${error.message}`, { cause: error });
  }
}

function unknown(option: string): MicaError {
  const known = Object.entries(OPTIONS).map(([name, [form]]) => `${name}=${form}`);
  return new MicaError(
    'INVALID_ARGUMENT',
    `there is no storage option ${option}; there are ${known.join(', ')}`,
  );
}

function parseFlag(text: string): boolean {
  if (text === 'true' || text === 'false') return text === 'true';
  throw new MicaError('INVALID_ARGUMENT', `${JSON.stringify(text)} is neither true nor false`);
}

function parseIdMap(text: string): string {
  if (/^\d+:\d+:\d+(?::\d+:\d+:\d+)*$/.test(text)) return text;
  throw new MicaError('INVALID_ARGUMENT', `${JSON.stringify(text)} is no map of ids ${ID_MAP}`);
}

function parsePath(text: string): string {
  if (text.startsWith('/')) return text;
  throw new MicaError('INVALID_ARGUMENT', `${JSON.stringify(text)} is no absolute path`);
}

function parseFileSystem(text: string): 'ext4' | 'xfs' {
  if (text === 'ext4' || text === 'xfs') return text;
  throw new MicaError('INVALID_ARGUMENT', `${JSON.stringify(text)} is neither ext4 nor xfs`);
}

function parsePercent(text: string): number {
  const [, percent] = /^(\d{1,2})%?$/.exec(text) ?? [];
  if (percent !== undefined) return Number(percent);
  throw new MicaError(
    'INVALID_ARGUMENT',
    `${JSON.stringify(text)} is no percentage from 0% to 99%`,
  );
}

function parseDataset(text: string): string {
  if (isDatasetName(text)) return text;
  throw new MicaError('INVALID_ARGUMENT', `${JSON.stringify(text)} is no name of a ZFS dataset`);
}

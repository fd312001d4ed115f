import { MicaError } from '../../errors.ts';
import { parseBytes } from '../../io/parse-bytes.ts';

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
  readonly 'fuse-overlayfs': IdMaps;
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
  'fuse-overlayfs.uidmapping': [
    ID_MAP,
    (text) => ({ 'fuse-overlayfs': { uidmapping: parseIdMap(text) } }),
  ],
  'fuse-overlayfs.gidmapping': [
    ID_MAP,
    (text) => ({ 'fuse-overlayfs': { gidmapping: parseIdMap(text) } }),
  ],
};

type Parse = (text: string) => Partial<DriverOptions>;

/**
 * Parses Docker's `storage-opts`: `<driver>.<option>=<value>`, of whatever driver.
 * @throws INVALID_ARGUMENT for one that does not exist
 */
export function parseDriverOptions(given: readonly string[]): DriverOptions {
  const parsed: DriverOptions = { erofs: {}, btrfs: {}, 'fuse-overlayfs': {} };
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

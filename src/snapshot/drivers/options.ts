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
}

/** Each option: what it is, for people, and what a value of it says. */
const OPTIONS: Readonly<Record<string, readonly [form: string, parse: Parse]>> = {
  'erofs.directio': ['true|false', (text) => ({ erofs: { directio: parseFlag(text) } })],
  'btrfs.min_space': ['BYTES', (text) => ({ btrfs: { minSpace: parseBytes(text) } })],
};

type Parse = (text: string) => Partial<DriverOptions>;

/**
 * Parses Docker's `storage-opts`: `<driver>.<option>=<value>`, of whatever driver.
 * @throws INVALID_ARGUMENT for one that does not exist
 */
export function parseDriverOptions(given: readonly string[]): DriverOptions {
  const parsed: DriverOptions = { erofs: {}, btrfs: {} };
  for (const option of given) {
    const [, name = '', value = ''] = /^([^=]*)=(.*)$/.exec(option) ?? [];
    const [, parse] = Object.hasOwn(OPTIONS, name) ? OPTIONS[name]! : [];
    if (parse === undefined) throw unknown(option);
    for (const [driver, said] of Object.entries(parse(value)))
      Object.assign(parsed[driver as keyof DriverOptions], said);
  }
  return parsed;
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

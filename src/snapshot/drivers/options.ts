import { MicaError } from '../../errors.ts';

/** What drivers can be told, by driver. */
export interface DriverOptions {
  readonly erofs: {
    /** The kernel reads tars past their page cache. */
    readonly directio?: boolean;
  };
}

/**
 * Parses Docker's `storage-opts`: `<driver>.<option>=<value>`, of whatever driver.
 * @throws INVALID_ARGUMENT for one that does not exist
 */
export function parseDriverOptions(given: readonly string[]): DriverOptions {
  let erofs: DriverOptions['erofs'] = {};
  for (const option of given) {
    const [, name, value] = /^([^=]*)=(.*)$/.exec(option) ?? [];
    if (name !== 'erofs.directio')
      throw new MicaError(
        'INVALID_ARGUMENT',
        `there is no storage option ${option}; there is erofs.directio=true|false`,
      );
    if (value !== 'true' && value !== 'false')
      throw new MicaError('INVALID_ARGUMENT', `storage option ${option}: it is true or false`);
    erofs = { directio: value === 'true' };
  }
  return { erofs };
}

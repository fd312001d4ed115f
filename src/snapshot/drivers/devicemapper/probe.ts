import { existsSync } from 'node:fs';
import { hasKernel } from '../../../sys/binding.ts';
import { deviceMapperVersion, hasTarget } from '../../../sys/device-mapper.ts';
import { errnoOf } from '../../../sys/errno.ts';
import { inUserNamespace } from '../../../sys/userns.ts';

/** Why there can be no thin pools here; `undefined` when there can. */
export function deviceMapperRefusal(): string | undefined {
  if (!hasKernel()) return 'it needs Linux';
  if (process.geteuid?.() !== 0 || inUserNamespace())
    return 'the kernel lets only the root of the machine make devices';
  if (!existsSync('/dev/mapper/control')) return none('there is no /dev/mapper/control');
  try {
    deviceMapperVersion();
    if (!hasTarget('thin-pool'))
      return 'the device mapper has no target thin-pool; load the module dm_thin_pool';
    return undefined;
  } catch (error) {
    // The file can be there, as of another kernel, and lead nowhere.
    const errno = errnoOf(error);
    if (errno === 'ENODEV' || errno === 'ENXIO') return none(`/dev/mapper/control: ${errno}`);
    return error instanceof Error ? error.message : String(error);
  }
}

const none = (why: string): string =>
  `the kernel has no device mapper (${why}); load the modules dm_mod and dm_thin_pool, or give this container its devices`;

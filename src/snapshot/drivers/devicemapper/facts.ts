import type { PoolSessions } from './session.ts';
import { backingOf, baseSizeOf, describeBacking, fileSystemOf } from './settings.ts';
import { type DeviceMapperOptions, MIN_FREE_SPACE } from './settings.ts';
import { type PoolStatus, type Space, statusOfPool } from './thin-pool.ts';

const METADATA_BLOCK = 4096;

/** What people should know of the pool, by docker's names. */
export async function poolFacts(
  sessions: PoolSessions,
  options: DeviceMapperOptions,
): Promise<Readonly<Record<string, string>>> {
  const state = sessions.read();
  const backing = state?.backing ?? backingOf(options);
  const general = {
    'Pool Backing': describeBacking(backing),
    'Backing Filesystem': state?.fileSystem ?? fileSystemOf(options),
    'Base Device Size': String(state?.baseSize ?? baseSizeOf(options)),
    'Thin Pool Minimum Free Space': `${options.minFreeSpace ?? MIN_FREE_SPACE} %`,
    ...(backing.kind === 'loop' && {
      WARNING:
        'the thin pool is made of files on loop devices: for a try-out only, slow, and full when the file system below is; give devices (dm.datadev, dm.metadatadev) or a pool (dm.thinpooldev)',
    }),
  };
  const usage = await sessions.useIfThere(async (session) => {
    const { device, label, blockSize } = session.active;
    const facts = usageFacts(statusOfPool(device), blockSize);
    sessions.rest(session.state);
    return { 'Pool Name': label, ...facts };
  });
  return { ...general, ...usage };
}

function usageFacts(
  { data, metadata, mode }: PoolStatus,
  blockSize: number,
): Record<string, string> {
  const of = ({ used, total }: Space, size: number): string =>
    `${used * size} of ${total * size} bytes`;
  return {
    'Pool Mode': mode,
    'Pool Blocksize': String(blockSize),
    'Data Space Used': of(data, blockSize),
    'Metadata Space Used': of(metadata, METADATA_BLOCK),
  };
}

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { MicaError } from '../../../errors.ts';
import type { FileSystem } from './state.ts';

const run = promisify(execFile);

/** What makes each file system. Nothing of a device is discarded or zeroed: a new one reads as zeros. */
const MAKE: Readonly<Record<FileSystem, string>> = {
  ext4: 'mkfs.ext4 -q -F -m 0 -b 4096 -J size=16 -O metadata_csum_seed -E nodiscard,lazy_itable_init=1,lazy_journal_init=1',
  xfs: 'mkfs.xfs -q -f -K',
};

/** Makes an empty file system: its root directory has nothing in it. */
export async function makeFileSystem(type: FileSystem, device: string): Promise<void> {
  const [program = '', ...options] = MAKE[type].split(' ');
  await call(program, ...options, device);
  // It would be part of every image; fsck makes it where it needs it.
  if (type === 'ext4') await call('debugfs', '-w', '-R', 'rmdir lost+found', device);
}

/**
 * Makes an ext4 that is not mounted as large as its device, or smaller.
 * @param size - in bytes
 */
export const resizeExt4 = (device: string, size: number): Promise<void> =>
  call('resize2fs', '-f', device, `${Math.floor(size / 1024)}K`);

/** How a layer is mounted. One that is frozen has nothing to be replayed, and none changes it. */
export const mountOptions = (type: FileSystem, access: 'ro' | 'rw'): readonly string[] =>
  type === 'xfs'
    ? ['nouuid', ...(access === 'ro' ? ['ro', 'norecovery'] : ['discard'])]
    : access === 'ro'
      ? ['ro', 'noload']
      : ['discard', 'noinit_itable', 'errors=remount-ro'];

async function call(program: string, ...parameters: readonly string[]): Promise<void> {
  try {
    await run(program, parameters, { env: { PATH: SEARCHED, MKE2FS_SKIP_PROGRESS: '1' } });
  } catch (cause) {
    const { code, stderr = '', message } = cause as NodeJS.ErrnoException & { stderr?: string };
    if (code === 'ENOENT')
      throw new MicaError(
        'FAILED_PRECONDITION',
        `storage driver devicemapper needs the program ${program} (e2fsprogs for ext4, xfsprogs for xfs)`,
        { cause },
      );
    const said = stderr.trim().split('\n').at(-1);
    throw new MicaError('INTERNAL', `${program}: ${said === '' ? message : said}`, { cause });
  }
}

/** Of root's programs, whatever the caller's environment says. */
const SEARCHED = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

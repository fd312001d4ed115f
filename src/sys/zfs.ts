import { execFile } from 'node:child_process';
import { setTimeout } from 'node:timers/promises';
import { type ErrorCode, MicaError } from '../errors.ts';
import { errnoOf, type ErrnoFacts } from './errno.ts';

/**
 * The command `zfs`, which is the one interface that the kernel module and the daemon zfs-fuse have
 * in common. Arguments are an array, never a line for a shell.
 * @see zfs(8)
 */

/** Nothing of our own environment: its messages are to be English, and it is often in an `sbin`. */
const ENVIRONMENT = {
  LC_ALL: 'C',
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
};

/** How long what was busy a moment ago may stay so, in milliseconds: zfs-fuse ends a mount after it is gone. */
const BUSY = 10_000;

/** What `zfs` says, and what that means. */
const FAILURES: readonly (readonly [said: RegExp, code: ErrorCode, errno: string | undefined])[] = [
  [/does not exist|no such pool/, 'NOT_FOUND', 'ENOENT'],
  [/already exists/, 'ALREADY_EXISTS', 'EEXIST'],
  [/dependent clones|has children/, 'FAILED_PRECONDITION', 'ENOTEMPTY'],
  [/busy/, 'UNAVAILABLE', 'EBUSY'],
  [/out of space|no space left/i, 'RESOURCE_EXHAUSTED', 'ENOSPC'],
  [/quota exceeded/i, 'RESOURCE_EXHAUSTED', 'EDQUOT'],
  [/permission denied|not permitted/i, 'PERMISSION_DENIED', 'EPERM'],
  [/read-?only/i, 'FAILED_PRECONDITION', 'EROFS'],
  [/suspended/, 'UNAVAILABLE', undefined],
  [/I\/O error|checksum/i, 'DATA_LOSS', 'EIO'],
  [
    /too long|invalid character|bad numeric value|less than current used/,
    'INVALID_ARGUMENT',
    undefined,
  ],
  [/modules? (?:is|are) not loaded|\/dev\/zfs|daemon is running/, 'FAILED_PRECONDITION', 'ENODEV'],
];

const ADVICE: Readonly<Record<string, string>> = {
  ENOENT:
    '; `zpool import` shows pools that are not imported, `zfs list` datasets that are there, `zfs create` makes one',
  ENOSPC:
    '; the pool is full: free some space in it, for example with `mica prune`, or give it another device (zpool add)',
  ENODEV: '; load the kernel module (modprobe zfs), or start zfs-fuse',
  EBUSY: '; something uses it, perhaps in another mount namespace',
};

/** @returns what it prints. @throws with the errno that the message stands for, where there is one */
export async function zfs(...args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile('zfs', args, { env: ENVIRONMENT, maxBuffer: 1 << 30 }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(failure(args, error, stderr.trim()));
    });
  });
}

/**
 * The same, again and again while something is busy that may not be so in a moment.
 * @param before - each attempt
 */
export async function zfsPatiently(
  args: readonly string[],
  before?: () => Promise<void>,
): Promise<string> {
  for (const until = performance.now() + BUSY; ;) {
    await before?.();
    try {
      return await zfs(...args);
    } catch (error) {
      if (errnoOf(error) !== 'EBUSY' || performance.now() > until) throw error;
      await setTimeout(20);
    }
  }
}

function failure(
  args: readonly string[],
  error: Error & { code?: unknown },
  said: string,
): MicaError {
  const what = `zfs ${args.join(' ')}`;
  if (error.code === 'ENOENT')
    return new MicaError(
      'FAILED_PRECONDITION',
      `${what}: there is no such command; install zfsutils-linux (or zfs-fuse)`,
      { cause: error },
    );
  const known = FAILURES.find(([pattern]) => pattern.test(said));
  const [, code, errno] = known ?? [undefined, 'INTERNAL' as const, undefined];
  const advice = (errno && ADVICE[errno]) ?? '';
  const text = said === '' ? error.message : said.replaceAll(/\s*\n\s*/g, ': ');
  const cause: ErrnoFacts | undefined = errno
    ? { errno: 0, code: errno, syscall: 'zfs' }
    : undefined;
  return new MicaError(code, `${what}: ${text}${advice}`, { cause: cause ?? error });
}

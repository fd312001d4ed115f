import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { errnoOf } from '../../sys/errno.ts';
import { FUSE_ZFS } from '../../sys/mount/by-zfs.ts';
import { type MountInfo, readMountinfo } from '../../sys/mountinfo.ts';

/** What zfs-fuse has mounted in a process' mount namespace, each file system once. */
export function zfsFuseMounts(pid: number): MountInfo[] {
  const mounts = readMountinfo(String(pid)).filter(({ type }) => type === FUSE_ZFS);
  return [...new Map(mounts.map((mount) => [mount.device, mount])).values()];
}

/**
 * The thread of a process, if any, that waits for a request of one file system that FUSE serves. zfs-fuse
 * reads what is there already, and waits in poll(2): a thread of it that stays here hangs.
 * @see proc_pid_wchan(5)
 */
export function sleepingReader(pid: number): string | undefined {
  const tasks = `/proc/${pid}/task`;
  return gone(() => readdirSync(tasks), []).find(
    (task) => gone(() => readFileSync(`${tasks}/${task}/wchan`, 'latin1'), '') === READING,
  );
}

const READING = 'fuse_dev_do_read';

/**
 * Lets nobody wait any more for what zfs-fuse has mounted in a process' namespace, where fusectl is mounted
 * there: each gets an error.
 */
export function abortZfsFuse(pid: number): void {
  for (const { device } of gone(() => zfsFuseMounts(pid), [])) {
    const [, connection] = device.split(':');
    const control = `/proc/${pid}/root/sys/fs/fuse/connections/${connection}/abort`;
    gone(() => writeFileSync(control, '1'), undefined);
  }
}

/** What `look` finds; `otherwise` when the process, or what is looked at, is not there any more. */
function gone<T>(look: () => T, otherwise: T): T {
  try {
    return look();
  } catch (error) {
    if (['ENOENT', 'ESRCH', 'EINVAL'].includes(errnoOf(error) ?? '')) return otherwise;
    throw error;
  }
}

/** The engines' command lines, each on a store of its own below one directory. */
import type { ChildProcess } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { shell, startDaemon } from './harness.ts';

export interface Engines {
  readonly mica: string;
  readonly docker: string;
  readonly podman: string;
  readonly buildah: string;
}

/** @param stores a directory on the file system that every contender uses */
export function enginesIn(stores: string): Engines {
  const storage = `--root ${stores}/cs --runroot ${stores}/cs-run --storage-driver overlay`;
  return {
    mica: `${process.execPath} ${join(import.meta.dirname, '..', '..', 'dist', 'mica.js')} --root ${stores}/mica`,
    docker: `docker -H unix://${stores}/docker.sock`,
    podman: `podman ${storage} --cgroup-manager cgroupfs --events-backend none --tmpdir ${stores}/cs-tmp`,
    buildah: `buildah ${storage}`,
  };
}

/** Without networks of its own: what needs none is compared. */
export const DOCKERD_QUIET = '--iptables=false --ip6tables=false --bridge=none';

export const startDockerd = (stores: string, logs: string): ChildProcess =>
  startDaemon(
    'dockerd',
    `dockerd --data-root ${stores}/docker --exec-root ${stores}/dexec --pidfile ${stores}/docker.pid ` +
      `--host unix://${stores}/docker.sock ${DOCKERD_QUIET} --storage-driver overlay2`,
    `${enginesIn(stores).docker} version`,
    `${logs}/dockerd.log`,
  );

export interface Stores extends Disposable {
  /** Where the file system of all stores is mounted. */
  readonly path: string;
  readonly logs: string;
}

/** One fresh ext4 on a loop file, for the stores of all contenders. */
export function freshStores(work: string): Stores {
  const [image, path, logs] = [join(work, 'stores.img'), join(work, 'stores'), join(work, 'log')];
  for (const directory of [path, logs]) mkdirSync(directory, { recursive: true });
  shell(
    `rm -f ${image}; truncate -s 24G ${image}; mkfs.ext4 -q -F -E lazy_itable_init=1,lazy_journal_init=1 ${image}; mount -o loop,noatime ${image} ${path}`,
  );
  return {
    path,
    logs,
    [Symbol.dispose]() {
      shell(
        `for m in $(awk '$2 ~ "^${path}/"{print $2}' /proc/mounts | sort -r); do umount -l $m; done; ` +
          `for i in 1 2 3 4 5 6; do umount ${path} && break; sleep 1; done; rm -f ${image}`,
      );
    },
  };
}

/**
 * crun refuses a machine that mounts an empty v2 tree beside the hierarchies of v1, so that podman needs one without.
 * To be called in a mount namespace of our own (`enter.sh`).
 */
export function hideHybrid(): void {
  if (process.env['MICA_BENCH_ROOT'] === undefined)
    throw new Error('run this through bench/macro/enter.sh: it changes mounts');
  shell(
    '[ ! -d /sys/fs/cgroup/cpuacct ] || [ ! -d /sys/fs/cgroup/unified ] || umount /sys/fs/cgroup/unified || :',
  );
}

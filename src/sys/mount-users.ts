import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { O_PATH } from './at.ts';

/**
 * Those of some mounts, of whatever mount namespaces, that a process uses: as its root, its working
 * directory, its program, or by an open file. As far as this process may look into others.
 * @param ids - as in `mountinfo`: no two mounts that exist have the same
 */
export function mountsInUse(ids: ReadonlySet<number>): Set<number> {
  const used = new Set<number>();
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name)))
    for (const id of mountsOf(pid)) if (ids.has(id)) used.add(id);
  return used;
}

function* mountsOf(pid: string): Generator<number> {
  for (const link of ['root', 'cwd', 'exe']) yield* through(`/proc/${pid}/${link}`);
  for (const fd of orNone(() => readdirSync(`/proc/${pid}/fdinfo`)))
    yield* mountIn(`/proc/${pid}/fdinfo/${fd}`);
}

/** Of what a link of /proc leads to, without opening it. */
function through(link: string): number[] {
  return orNone(() => {
    const fd = openSync(link, O_PATH);
    try {
      return mountIn(`/proc/self/fdinfo/${fd}`);
    } finally {
      closeSync(fd);
    }
  });
}

/** @see proc_pid_fdinfo(5) */
const mountIn = (fdinfo: string): number[] =>
  orNone(() => {
    const [, id] = /^mnt_id:\s*(\d+)$/m.exec(readFileSync(fdinfo).toString()) ?? [];
    return id === undefined ? [] : [Number(id)];
  });

/** A process may end while one looks at it, and not every one is ours to see. */
function orNone<T>(look: () => T[]): T[] {
  try {
    return look();
  } catch {
    return [];
  }
}

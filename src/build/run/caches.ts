import { createHash, randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Database } from '../../db/database.ts';
import type { Lease, Leases } from '../../db/leases.ts';
import { removeTree } from '../../fs/remove.ts';
import { holdWhenFree, type HeldLock, tryLock } from '../../sys/alive.ts';
import { errnoOf, fromNode } from '../../sys/errno.ts';
import type { Mount } from '../dockerfile/mount.ts';

export type CacheMount = Extract<Mount, { type: 'cache' }>;

/** A directory that outlives the build, in use until it is disposed of. */
export interface OpenCache extends Disposable {
  readonly path: string;
  /** It was made just now. */
  readonly isNew: boolean;
}

const cachesDirectory = ({ root }: Database): string => join(root, 'caches');

/**
 * Opens the directory of a `--mount=type=cache`. *locked* waits until nobody else has it; *private*
 * takes another one of the same id if somebody has it; *shared* does not mind.
 */
export async function openCache(
  db: Database,
  lease: Lease,
  mount: CacheMount,
  signal: AbortSignal | undefined,
): Promise<OpenCache> {
  const name = createHash('sha256').update(mount.id).digest('hex').slice(0, 32);
  for (let number = 0; ; number++) {
    const directory = join(cachesDirectory(db), number === 0 ? name : `${name}-${number}`);
    const users = join(directory, 'users');
    try {
      mkdirSync(users, { recursive: true, mode: 0o700 });
    } catch (error) {
      throw fromNode(error);
    }
    const lock = await take(join(directory, 'lock'), mount, signal);
    if (lock === 'taken') continue;
    const user = join(users, `${lease.id}.${randomBytes(6).toString('hex')}`);
    try {
      writeFileSync(user, '');
      return {
        ...(await prepare(directory, mount, signal)),
        [Symbol.dispose]: () => leave(user, lock),
      };
    } catch (error) {
      leave(user, lock);
      throw fromNode(error);
    }
  }
}

async function take(
  path: string,
  { sharing }: CacheMount,
  signal: AbortSignal | undefined,
): Promise<HeldLock | 'taken' | undefined> {
  if (sharing === 'shared') return undefined;
  if (sharing === 'locked') return await holdWhenFree(path, signal);
  return tryLock(path) ?? 'taken';
}

/** It is seen as a whole: with its mode and its owner. */
async function prepare(
  directory: string,
  { mode, uid, gid }: CacheMount,
  signal: AbortSignal | undefined,
): Promise<Pick<OpenCache, 'path' | 'isNew'>> {
  const path = join(directory, 'data');
  if (existsSync(path)) return { path, isNew: false };
  using _ = await holdWhenFree(join(directory, 'data.lock'), signal);
  if (existsSync(path)) return { path, isNew: false };
  const unfinished = join(directory, 'data.new');
  // What a process that was killed here has left.
  rmSync(unfinished, { recursive: true, force: true });
  mkdirSync(unfinished);
  chmodSync(unfinished, mode);
  chownSync(unfinished, uid, gid);
  renameSync(unfinished, path);
  return { path, isNew: true };
}

function leave(user: string, lock: HeldLock | undefined): void {
  rmSync(user, { force: true });
  lock?.[Symbol.dispose]();
}

/** Removes the directories that no living build uses. */
export function removeCaches(db: Database, leases: Leases): void {
  for (const name of namesIn(cachesDirectory(db))) {
    const directory = join(cachesDirectory(db), name);
    const users = namesIn(join(directory, 'users')).map((user) => user.split('.', 1)[0]!);
    if (users.some((lease) => leases.isAlive(lease))) continue;
    removeTree(directory);
  }
}

function namesIn(path: string): string[] {
  try {
    return readdirSync(path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw fromNode(error);
  }
}

import {
  chmodSync,
  closeSync,
  constants,
  existsSync,
  statSync,
  mkdirSync,
  openSync,
  readdirSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { MicaError } from '../errors.ts';
import { hasKernel } from '../sys/binding.ts';
import { fromNode } from '../sys/errno.ts';
import { flock } from '../sys/lock.ts';
import { openedBy } from '../sys/opened-by.ts';

/**
 * Creates the store's directory if there is none (or takes an empty one of ours), and refuses one
 * that others can look into: old layers hold setuid programs with known holes, and nobody else may
 * mount or run them. A directory that is somebody's and no store is left alone.
 */
export function makeRoot(root: string): void {
  let strange: string | undefined;
  try {
    mkdirSync(root, { recursive: true, mode: 0o700 });
    const { mode, uid } = statSync(root);
    const names = namesIn(root);
    if (uid === process.geteuid?.() && (mode & 0o077) !== 0 && names.length === 0)
      chmodSync(root, 0o700);
    if (!names.includes(DATABASE)) strange = names.find((name) => !isOfStore(name));
  } catch (error) {
    throw fromNode(error);
  }
  checkRoot(root);
  if (strange !== undefined)
    throw new MicaError(
      'FAILED_PRECONDITION',
      `${root} is not a store: it has ${strange} in it and no ${DATABASE}; choose an empty or a new directory with --root`,
    );
}

const DATABASE = 'mica.db';

/**
 * What may be there without the database: it has its name only once it is complete, and a store may
 * have lost it.
 */
const isOfStore = (name: string): boolean =>
  name.startsWith(DATABASE) || name.endsWith('.lock') || OF_STORE.has(name);

/** @see docs/storage-format.md */
const OF_STORE: ReadonlySet<string> = new Set([
  'lock',
  'reserve',
  'leases',
  'content',
  'layers',
  'containers',
  'run',
  'build',
  'caches',
  'uploads',
]);

/** @returns whether there is such a directory @throws PERMISSION_DENIED, FAILED_PRECONDITION */
export function checkRoot(root: string): boolean {
  let stats;
  try {
    stats = statSync(root, { throwIfNoEntry: false });
  } catch (error) {
    throw fromNode(error);
  }
  if (stats === undefined) return false;
  if (!stats.isDirectory())
    throw new MicaError('FAILED_PRECONDITION', `the store ${root} is not a directory`);
  const uid = process.geteuid?.();
  if (uid === undefined) return true;
  if (stats.uid !== uid)
    throw new MicaError(
      'PERMISSION_DENIED',
      `the store ${root} belongs to user ${stats.uid}, this process is user ${uid}; choose another with --root`,
    );
  if ((stats.mode & 0o077) !== 0) {
    // Whoever writes into it closes it first.
    if (namesIn(root).length === 0) return false;
    throw new MicaError('PERMISSION_DENIED', refusalOfMode(root, stats.mode));
  }
  return true;
}

function namesIn(root: string): string[] {
  try {
    return readdirSync(root).filter((name) => name !== 'lost+found');
  } catch (error) {
    throw fromNode(error);
  }
}

/** Only of a store is it said to close it: a mistyped root may be a directory that all the machine reads. */
const refusalOfMode = (root: string, mode: number): string => {
  const open = `(mode ${(mode & 0o7777).toString(8)})`;
  return existsSync(join(root, DATABASE))
    ? `others can look into the store ${root} ${open}, where setuid programs of old layers lie; run chmod 700 ${root}`
    : `${root} is not a store, others can look into it ${open}, and it is not empty; choose an empty or a new directory with --root`;
};

export interface AloneOptions {
  readonly signal?: AbortSignal | undefined;
  /** How long others may keep it to themselves, in milliseconds. Default 30 seconds. */
  readonly patience?: number | undefined;
  /** Called once, when it turns out that others use the store. */
  readonly onWait?: ((holders: readonly string[]) => void) | undefined;
}

/**
 * The store's lock: shared by everybody who may write, exclusive while the format or the driver is
 * made or changed.
 */
export class RootLock implements Disposable {
  readonly #path: string;
  readonly #fd: number;

  constructor(path: string) {
    this.#path = path;
    try {
      this.#fd = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600);
    } catch (error) {
      throw fromNode(error);
    }
  }

  /** Waits a moment for its turn. @throws UNAVAILABLE when it does not come */
  async take(kind: 'shared' | 'exclusive'): Promise<void> {
    if (!hasKernel()) return;
    for (let waited = 0; !flock(this.#fd, kind); waited += PAUSE) {
      if (waited >= PATIENCE) throw this.#refusal(kind);
      await setTimeout(PAUSE);
    }
  }

  /**
   * Makes a shared lock exclusive, until what is returned is disposed: then it is shared again.
   * @throws UNAVAILABLE while others keep theirs; it is shared as before then
   */
  async alone(options: AloneOptions = {}): Promise<Disposable> {
    const { signal, patience = PATIENCE, onWait } = options;
    const share = (): boolean => flock(this.#fd, 'shared', false);
    for (let waited = 0; hasKernel() && !flock(this.#fd, 'exclusive'); waited += PAUSE) {
      // Trying has cost the shared lock (flock(2): a conversion is not atomic).
      share();
      signal?.throwIfAborted();
      if (waited === 0) onWait?.(openedBy(this.#path));
      if (waited >= patience) throw this.#refusal('exclusive');
      await setTimeout(PAUSE, undefined, { ...(signal && { signal }) }).catch(() => undefined);
    }
    return { [Symbol.dispose]: () => void (hasKernel() && share()) };
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }

  #refusal(kind: 'shared' | 'exclusive'): MicaError {
    const what = kind === 'shared' ? 'changes the format or driver of' : 'uses';
    const holders = openedBy(this.#path);
    const who = holders.length > 0 ? holders.join(', ') : 'something that this process cannot see';
    return new MicaError(
      'UNAVAILABLE',
      `${this.#path} is held by ${who}, which ${what} the store; try again when it has ended`,
    );
  }
}

/** In milliseconds. */
const PAUSE = 10;
const PATIENCE = 30_000;

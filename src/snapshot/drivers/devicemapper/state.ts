import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { MicaError } from '../../../errors.ts';
import { writeAtomic } from '../../../io/atomic.ts';
import { errnoOf, fromNode } from '../../../sys/errno.ts';
import { syncDirectory } from '../../../sys/sync.ts';

/** What a pool is made of. */
export type Backing =
  /** Sparse files beside the state. Sizes in bytes. */
  | { readonly kind: 'loop'; readonly dataSize: number; readonly metadataSize: number }
  /** Block devices that are ours. */
  | { readonly kind: 'devices'; readonly data: string; readonly metadata: string }
  /** A thin pool that somebody else made, and activates. */
  | { readonly kind: 'pool'; readonly path: string };

export type FileSystem = 'ext4' | 'xfs';

/** What a file system holds. In bytes. */
export interface Holding {
  readonly size: number;
  readonly inodes: number;
}

/** A thin device of the pool. */
export interface Volume {
  /** Its id in the pool. */
  readonly device: number;
  /** In sectors of 512 bytes. */
  readonly sectors: number;
  /** What its file system held when it was made; absent: it has none yet, or one that is being made. */
  readonly start?: Holding;
  /** Nobody ever had it active: it is what it was made of, bit by bit. */
  readonly isNew?: boolean;
  /** What it held when it was frozen; absent: it can be written to. */
  readonly end?: Holding;
  /** Something that was written to it did not reach the pool. */
  readonly isTorn?: boolean;
}

/** A change of the pool that is about to happen, or did before somebody could write down that it did. */
export type Intent =
  | {
      readonly kind: 'create';
      readonly device: number;
      readonly sectors: number;
      /** Whose it is; absent: it becomes the base. */
      readonly layer?: string;
      /** What its file system holds, where that is known. */
      readonly start?: Holding;
    }
  | { readonly kind: 'delete'; readonly device: number };

/**
 * What a store knows of its pool. The pool counts its transactions, and so does this: with one open
 * intent at most, the two numbers tell whether it happened.
 */
export interface State {
  readonly format: 1;
  /** In the names of all our devices. */
  readonly tag: string;
  readonly backing: Backing;
  readonly fileSystem: FileSystem;
  /** Of a file system that nobody gave another size. In bytes. */
  readonly baseSize: number;
  readonly transaction: number;
  readonly nextDevice: number;
  readonly intent?: Intent;
  /** The empty file system that what stands on nothing is a snapshot of. */
  readonly base?: Volume;
  readonly layers: Readonly<Record<string, Volume>>;
  /** Thin devices that nobody has any more. */
  readonly removed: readonly Pick<Volume, 'device' | 'sectors' | 'isNew'>[];
}

/** `<store>/devicemapper`: the driver's own directory. */
export const directoryOf = (store: string): string => join(store, 'devicemapper');
const fileIn = (directory: string): string => join(directory, 'pool.json');

export const newState = (
  given: Pick<State, 'backing' | 'fileSystem' | 'baseSize' | 'transaction'>,
): State => ({
  format: 1,
  tag: randomBytes(4).toString('hex'),
  ...given,
  nextDevice: 1,
  layers: {},
  removed: [],
});

/** `undefined` where there is no pool yet. @throws DATA_LOSS for a file that is not ours */
export function readState(directory: string): State | undefined {
  const path = fileIn(directory);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw fromNode(error);
  }
  try {
    const state = JSON.parse(text) as Partial<State>;
    if (state.format === 1 && state.layers !== undefined) return state as State;
  } catch {}
  throw new MicaError(
    'DATA_LOSS',
    `${path} is not the state of a thin pool that this version knows; restore it from a backup, or use another --root`,
  );
}

/** On the disk when it returns; readers see the old or the new one. */
export function writeState(directory: string, state: State): void {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw fromNode(error);
  }
  writeAtomic(fileIn(directory), `${JSON.stringify(state, undefined, 1)}\n`, { mode: 0o600 });
}

/** What a killed process was about to write. Under the lock: nobody else writes. */
export function removeUnfinished(directory: string): void {
  try {
    for (const name of readdirSync(directory))
      if (/^pool\.json\..*\.new$/.test(name)) rmSync(join(directory, name), { force: true });
  } catch (error) {
    throw fromNode(error);
  }
}

/** There is no pool any more. */
export function removeState(directory: string): void {
  try {
    rmSync(fileIn(directory), { force: true });
    syncDirectory(directory);
  } catch (error) {
    throw fromNode(error);
  }
}

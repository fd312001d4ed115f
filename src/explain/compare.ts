import { isDeepStrictEqual } from 'node:util';
import type { Abortable } from '../io/bytes.ts';
import type { ImageConfig } from '../oci/config.ts';
import { foldName } from '../windows/fold.ts';
import type { FileTree, FileType, TreeEntry } from '../union/tree.ts';
import { type Difference, differences } from './same-file.ts';

/** A path that is not the same in two trees. */
export interface FileChange {
  readonly path: string;
  readonly raw: Uint8Array;
  readonly kind: 'added' | 'changed' | 'deleted';
  /** What is there afterwards; of a deletion, what was there. */
  readonly type: FileType;
  /** Of a change: in what they differ. */
  readonly what: readonly Difference[];
}

export interface CompareOptions extends Abortable {
  /** How many of the lowest layers both trees have in common: what comes from them is not read. Default 0. */
  readonly sharedLayers?: number | undefined;
}

/**
 * What is different in `after`, parents first, in byte order. Contents are compared where sizes are the same.
 * Of what was added or deleted, everything in it is named, too.
 */
export async function* compareTrees(
  before: FileTree,
  after: FileTree,
  { sharedLayers = 0, signal }: CompareOptions = {},
): AsyncGenerator<FileChange, void, undefined> {
  const fold = before.ignoresCase === true && after.ignoresCase === true ? foldName : undefined;
  for (const [old, now] of pairs(keyed(before, fold), keyed(after, fold))) {
    signal?.throwIfAborted();
    if (old === undefined || now === undefined) {
      const { path, raw, type } = (now ?? old)!;
      yield { path, raw, type, kind: old === undefined ? 'added' : 'deleted', what: [] };
      continue;
    }
    const [one, other] = [old.stat, now.stat];
    const shared = one.layer < sharedLayers && one.ino === other.ino;
    const what = await differences(
      { tree: before, path: old.raw, stat: one },
      { tree: after, path: now.raw, stat: other },
      { shared, signal },
    );
    const { path, raw, type } = now;
    if (what.length > 0) yield { path, raw, type, kind: 'changed', what };
  }
}

/** Entries of two walks, those of one path together. */
function* pairs(
  before: Iterator<Keyed>,
  after: Iterator<Keyed>,
): Generator<readonly [TreeEntry | undefined, TreeEntry | undefined]> {
  let [old, now] = [next(before), next(after)];
  while (old !== undefined || now !== undefined) {
    const order = old === undefined ? 1 : now === undefined ? -1 : compareKeys(old.key, now.key);
    yield [order <= 0 ? old?.entry : undefined, order >= 0 ? now?.entry : undefined];
    if (order <= 0) old = next(before);
    if (order >= 0) now = next(after);
  }
}

interface Keyed {
  readonly key: string;
  readonly entry: TreeEntry;
}

const next = (entries: Iterator<Keyed>): Keyed | undefined => {
  const { value, done } = entries.next();
  return done === true ? undefined : value;
};

/** In the order of the keys; that of a walk is not, where names are compared without their case. */
function keyed(tree: FileTree, fold: ((name: string) => string) | undefined): Iterator<Keyed> {
  const entries = keyedWalk(tree, fold);
  return fold === undefined
    ? entries
    : [...entries].sort((a, b) => compareKeys(a.key, b.key))[Symbol.iterator]();
}

/** A walk is in the order of its paths, with what ends a name before all that a name may hold. */
function* keyedWalk(
  tree: FileTree,
  fold: (name: string) => string = (name) => name,
): Generator<Keyed> {
  for (const entry of tree.walk()) {
    const { raw } = entry;
    const bytes = Buffer.from(raw.buffer, raw.byteOffset, raw.length).toString('latin1');
    yield { key: bytes === '/' ? '' : fold(bytes).replaceAll('/', '\0'), entry };
  }
}

const compareKeys = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** A field of the config that is not the same in two images. `undefined`: it is not there. */
export interface ConfigChange {
  /** `architecture`, `User`, or an entry of a field: `Env PATH`, `Labels a`. */
  readonly field: string;
  readonly before: unknown;
  readonly after: unknown;
}

/** What is different in `after`; layers and history are not compared. */
export function compareConfigs(before: ImageConfig, after: ImageConfig): ConfigChange[] {
  const [old, now] = [fieldsOf(before), fieldsOf(after)];
  return [...new Set([...old.keys(), ...now.keys()])]
    .sort()
    .map((field) => ({ field, before: old.get(field), after: now.get(field) }))
    .filter((change) => !isDeepStrictEqual(change.before, change.after));
}

function fieldsOf(image: ImageConfig): Map<string, unknown> {
  const { config = {}, rootfs: _rootfs, history: _history, ...rest } = image;
  const fields = new Map<string, unknown>();
  for (const [name, value] of [...Object.entries(rest), ...Object.entries(config)]) {
    if (value === undefined) continue;
    if (name === 'Env')
      for (const variable of value as readonly string[]) {
        const at = variable.indexOf('=');
        const end = at < 0 ? variable.length : at;
        fields.set(`Env ${variable.slice(0, end)}`, variable.slice(end + 1));
      }
    else if (name === 'Labels' || name === 'ExposedPorts' || name === 'Volumes')
      for (const [key, entry] of Object.entries(value)) fields.set(`${name} ${key}`, entry);
    else fields.set(name, value);
  }
  return fields;
}

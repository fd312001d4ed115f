import { MicaError } from '../../errors.ts';
import type { Abortable, Bytes } from '../../io/bytes.ts';
import { WHITEOUT_PREFIX } from '../../oci/whiteout.ts';
import { resolveIn } from '../files/resolve.ts';
import {
  PLAIN_DIRECTORY,
  baseOf,
  parentOf,
  type SourceFile,
  type SourceTree,
  toText,
  under,
} from '../files/source-tree.ts';

/** A file that a layer in the making will have. */
export interface DraftFile extends Omit<SourceFile, 'identity'> {
  /** Of a regular file: where its bytes come from. */
  readonly open: ((options: Abortable) => Bytes) | undefined;
  /** Equal for hard links of one file. */
  readonly identity: string | undefined;
}

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** What Linux takes as a path, without the slash in front and the NUL at the end. In bytes. */
const MAX_PATH = 4094;

export const ROOT: Owner = { uid: 0, gid: 0 };

/**
 * The files that one instruction puts on top of what is there. Nothing is written: from the same
 * draft comes what the cache is asked for, and the layer.
 */
export class LayerDraft {
  readonly #lower: SourceTree;
  readonly #files = new Map<string, DraftFile>();
  /** Directories that are there only because something is put below them. */
  readonly #made = new Set<string>();

  readonly #time: number;

  /**
   * @param lower - what the layers below look like together
   * @param time - of what no source gives a time, in seconds since 1970
   */
  constructor(lower: SourceTree, time = 0) {
    this.#lower = lower;
    this.#time = time;
  }

  /** By path, without the directories above that lower layers have. */
  get files(): ReadonlyMap<string, DraftFile> {
    return this.#files;
  }

  /** Where a path leads, through links of lower layers and of what was put so far. */
  resolve(path: string): string {
    return resolveIn({ name: 'the image', lstat: (at) => this.lstat(at) }, path);
  }

  lstat(path: string): Pick<SourceFile, 'type' | 'target'> | undefined {
    return this.#files.get(path) ?? this.#lower.lstat(path);
  }

  /** Puts a file at a {@link resolve resolved} path. Directories above must be there. */
  put(path: string, file: DraftFile): void {
    if (baseOf(path).startsWith(WHITEOUT_PREFIX))
      throw new MicaError(
        'INVALID_ARGUMENT',
        `${toText(path)}: in a layer this name says that another file is deleted; rename it`,
      );
    const there = this.lstat(path);
    if (there !== undefined && (there.type === 'directory') !== (file.type === 'directory'))
      throw new MicaError(
        'FAILED_PRECONDITION',
        there.type === 'directory'
          ? `/${toText(path)} is a directory in the image, and cannot be replaced by a ${file.type}`
          : `/${toText(path)} is a ${there.type} in the image, and cannot be replaced by a directory`,
      );
    this.#files.set(path, file);
    this.#made.delete(path);
  }

  /** Makes the directory at a resolved path, and those above, where they are missing. */
  makeDirectory(path: string, owner: Owner): void {
    if (path === '') return;
    const there = this.lstat(path);
    if (there?.type === 'directory') return;
    if (there !== undefined)
      throw new MicaError(
        'FAILED_PRECONDITION',
        `/${toText(path)} is a ${there.type} in the image, not a directory`,
      );
    if (path.length > MAX_PATH)
      throw new MicaError(
        'INVALID_ARGUMENT',
        `/${toText(path.slice(0, 60))}…: a path of ${path.length} bytes, where ${MAX_PATH} are the most`,
      );
    this.makeDirectory(parentOf(path), owner);
    this.put(path, { ...NEW_DIRECTORY, ...owner });
    this.#made.add(path);
  }

  /**
   * All members of the layer's archive in their order: a directory before what is in it, siblings
   * in byte order. Directories that lower layers have are repeated as they are.
   */
  members(): [path: string, file: DraftFile][] {
    const all = new Map(this.#files);
    const newest = this.newest();
    for (const path of this.#made) {
      const { mtime, mtimeNs } = newest;
      all.set(path, { ...this.#files.get(path)!, mtime, mtimeNs });
    }
    for (const path of this.#files.keys())
      for (let at = parentOf(path); at !== '' && !all.has(at); at = parentOf(at)) {
        const file = this.#lower.lstat(at);
        if (file !== undefined) all.set(at, { ...file, identity: undefined, open: undefined });
      }
    return [...all].sort(([a], [b]) => (sortKey(a) < sortKey(b) ? -1 : 1));
  }

  /** When the newest of the files was modified: it stands for the draft's own time. */
  newest(): { readonly mtime: number; readonly mtimeNs: number } {
    const times = [...this.#files]
      .filter(([path]) => !this.#made.has(path))
      .map(([, { mtime, mtimeNs }]) => ({ mtime, mtimeNs }));
    if (times.length === 0) return { mtime: this.#time, mtimeNs: 0 };
    return times.reduce((newest, time) =>
      time.mtime > newest.mtime || (time.mtime === newest.mtime && time.mtimeNs > newest.mtimeNs)
        ? time
        : newest,
    );
  }
}

/** A directory before what is in it, and that before the directory's next sibling. */
const sortKey = (path: string): string => path.replaceAll('/', '\0');

const NEW_DIRECTORY: DraftFile = { ...PLAIN_DIRECTORY, open: undefined };

/** Everything below a directory, parents first, siblings in byte order. */
export function* walkFiles(
  tree: SourceTree,
  root: string,
): Generator<{ readonly path: string; readonly file: SourceFile }, void, undefined> {
  const pending = [...tree.names(root)].reverse().map((name) => under(root, name));
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    const file = tree.lstat(path);
    if (file === undefined) continue;
    yield { path, file };
    if (file.type !== 'directory') continue;
    for (const name of [...tree.names(path)].reverse()) pending.push(under(path, name));
  }
}

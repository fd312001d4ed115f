import { S_IFCHR, S_IFLNK, S_IFREG, S_IFSOCK } from '../../erofs/node.ts';
import { MicaError } from '../../errors.ts';
import type { Root } from '../../fs/root.ts';
import type { Pace } from '../../io/pace.ts';
import { WHITEOUT_PREFIX } from '../../oci/whiteout.ts';
import { close, O_DIRECTORY, O_RDONLY, readlinkat } from '../../sys/at.ts';
import { findat, statat } from '../../sys/stat.ts';
import { allXattrs } from '../../sys/xattr.ts';
import { MAX_PATH, shown } from '../changeset/member-name.ts';
import {
  Abilities,
  isCarried,
  isDirectory,
  isUnsaid,
  sameStat,
  sameTime,
  sameXattrs,
  typeOf,
} from './attributes.ts';
import { belowOf } from './below.ts';
import type { LowerFile, LowerTree } from './lower-tree.ts';
import { sameContent } from './same-content.ts';
import {
  deletion,
  isLinked,
  isSeenDirectory,
  presence,
  type Seen,
  type SeenDirectory,
  type SeenFile,
} from './seen.ts';
import { type Entry, isNoDirectory, type Source } from './source.ts';

/** More than this no layer may have (docs/layer-format.md). */
const MAX_FILES = 2_000_000;

/**
 * Looks at everything in a tree, and at what the layers below have in its place. Only one directory
 * is open at a time, and links are never followed.
 */
export class Walk {
  readonly #source: Source;
  readonly #root: Root;
  readonly #lower: LowerTree | undefined;
  readonly #pace: Pace;
  readonly #forLayer: boolean;
  readonly #abilities = new Abilities();
  readonly #seen: Seen[] = [];

  /**
   * @param lower - `undefined`: nobody knows what is below
   * @param options - `forLayer`: files that no layer can have are refused, and what vanishes meanwhile fails it
   */
  constructor(
    source: Source,
    root: Root,
    lower: LowerTree | undefined,
    { pace, forLayer }: { readonly pace: Pace; readonly forLayer: boolean },
  ) {
    this.#source = source;
    this.#root = root;
    this.#lower = lower;
    this.#pace = pace;
    this.#forLayer = forLayer;
  }

  /** Parents before children; in a directory, first what was deleted, else byte order. */
  async run(): Promise<readonly Seen[]> {
    const { fd } = this.#root;
    const file = this.#file(fd, '', { name: '.', stat: statat(fd, '') });
    const root = presence('', undefined, file, this.#lower?.root);
    if (root.lower !== undefined) this.#judge(root, file, root.lower);
    else if (isUnsaid(file.stat, file.xattrs)) root.state = 'same';
    if (isSeenDirectory(root)) await this.#directory(root);
    return this.#seen;
  }

  async #directory(directory: SeenDirectory): Promise<void> {
    const listed = await this.#list(directory);
    if (listed === undefined) return;
    this.#add(directory);
    const { deleted, present } = listed;
    for (const seen of deleted) this.#add(seen);
    for (const seen of present)
      if (isSeenDirectory(seen)) await this.#directory(seen);
      // Hard links are judged together, once all are known.
      else if (seen.state !== 'same' || isLinked(seen)) this.#add(seen);
      else directory.kept++;
  }

  /** `undefined`: it has vanished. */
  async #list(directory: SeenDirectory): Promise<{ deleted: Seen[]; present: Seen[] } | undefined> {
    const fd = this.#open(directory);
    if (fd === undefined) return undefined;
    try {
      const { path } = directory;
      const listing = this.#source.list({ fd, path, xattrs: allXattrs(fd) });
      directory.complete ||= listing.complete;
      directory.opaque = listing.complete && this.#lower === undefined && path !== '';
      const below = belowOf(directory, this.#lower, (file) => this.#abilities.hasType(file.inode));
      const present: Seen[] = [];
      const gone = [...listing.deleted];
      for (const entry of listing.entries) {
        if (this.#pace.due) await this.#pace.rest();
        // Nobody can use somebody else's end of a connection: no layer has it.
        if (typeOf(entry.stat) === S_IFSOCK) gone.push(entry.name);
        else {
          let seen = this.#present(fd, directory, entry, below.find(entry.name));
          if (seen !== undefined && this.#isDoubtful(seen))
            seen = await this.#compared(fd, entry, seen);
          if (seen !== undefined) present.push(seen);
        }
      }
      const names = new Set(present.map(nameOf));
      directory.names = [...names, ...gone];
      return { deleted: this.#deleted(directory, below.deleted(gone, names)), present };
    } finally {
      close(fd);
    }
  }

  #open({ path }: SeenDirectory): number | undefined {
    try {
      return this.#root.openExact(path, O_RDONLY | O_DIRECTORY);
    } catch (error) {
      if (this.#forLayer || !isNoDirectory(error)) throw error;
      return undefined;
    }
  }

  /** The entry, unless it has vanished since the directory was listed: the tree may be in use. */
  #present(
    dirfd: number,
    parent: SeenDirectory,
    entry: Entry,
    lower: LowerFile | undefined,
  ): Seen | undefined {
    try {
      return this.#entry(dirfd, parent, entry, lower);
    } catch (error) {
      return this.#vanished(dirfd, entry, error);
    }
  }

  /** @throws the error that it caused, unless the tree may be in use and the entry is gone */
  #vanished(dirfd: number, { name }: Entry, error: unknown): undefined {
    if (this.#forLayer || findat(dirfd, name) !== undefined) throw error;
  }

  #entry(dirfd: number, parent: SeenDirectory, entry: Entry, lower: LowerFile | undefined): Seen {
    const path = pathOf(parent, entry.name);
    if (path.length > MAX_PATH)
      throw new MicaError('INVALID_ARGUMENT', `directories too deep for a layer: ${shown(path)}`);
    if (this.#forLayer) checkEntry(path, entry);
    const file = this.#file(dirfd, path, entry);
    const seen = presence(path, parent, file, lower);
    if (lower !== undefined) this.#judge(seen, file, lower);
    return seen;
  }

  /** Whether it is a file whose attributes do not tell if it has changed. */
  #isDoubtful({ state, file }: Seen): boolean {
    if (state !== 'same' || typeOf(file!.stat) !== S_IFREG) return false;
    return !this.#source.isUntouched(file!.stat);
  }

  /** By the content. */
  async #compared(dirfd: number, entry: Entry, seen: Seen): Promise<Seen | undefined> {
    const { path, lower } = seen;
    try {
      using content = this.#lower?.open(lower!, path);
      const isSame = await sameContent({ dirfd, path, ...entry }, content, this.#pace);
      if (!isSame) seen.state = 'modified';
      return seen;
    } catch (error) {
      return this.#vanished(dirfd, entry, error);
    }
  }

  #file(dirfd: number, path: string, { name, stat }: Entry): SeenFile {
    const xattrs = allXattrs({ dirfd, name });
    this.#source.check(path, xattrs);
    const target = typeOf(stat) === S_IFLNK ? readlinkat(dirfd, name) : undefined;
    return { stat, xattrs: xattrs.filter((xattr) => isCarried(xattr.name)), target };
  }

  /** By the attributes. */
  #judge(seen: Seen, file: SeenFile, lower: LowerFile): void {
    const has = lower.xattrs.filter(({ name }) => this.#abilities.hasXattr(name));
    if (!sameStat(file.stat, lower.inode) || !sameXattrs(file.xattrs, has)) seen.state = 'modified';
    else if (file.target !== undefined && file.target !== this.#lower?.target(lower))
      seen.state = 'modified';
    else if (sameTime(file.stat, lower.inode)) seen.state = 'same';
    else seen.state = isDirectory(file.stat) ? 'time' : 'modified';
  }

  #deleted(directory: SeenDirectory, names: readonly string[]): Seen[] {
    // No layer has a file that is called as a mark.
    const real = names.filter((name) => !name.startsWith(WHITEOUT_PREFIX));
    directory.deletions = real.length;
    return real.sort().map((name) => deletion(pathOf(directory, name), directory));
  }

  #add(seen: Seen): void {
    this.#seen.push(seen);
    if (this.#seen.length > MAX_FILES)
      throw new MicaError('RESOURCE_EXHAUSTED', `more than ${MAX_FILES} files were changed`);
  }
}

const nameOf = ({ path }: Seen): string => path.slice(path.lastIndexOf('/') + 1);
const pathOf = ({ path }: Seen, name: string): string => (path === '' ? name : `${path}/${name}`);

/** @throws INVALID_ARGUMENT for what no layer can express */
function checkEntry(path: string, { name, stat }: Entry): void {
  if (name.startsWith(WHITEOUT_PREFIX))
    throw new MicaError(
      'INVALID_ARGUMENT',
      `${shown(path)}: in a layer this name means a deletion; rename or remove the file`,
    );
  if (typeOf(stat) === S_IFCHR && stat.rdev === 0)
    throw new MicaError(
      'INVALID_ARGUMENT',
      `${shown(path)}: no layer can have a character device 0:0, overlayfs' mark of a deletion; remove it`,
    );
}

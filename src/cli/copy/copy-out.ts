import {
  closeSync,
  constants,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { MicaError } from '../../errors.ts';
import type { Abortable } from '../../io/bytes.ts';
import { writeAll } from '../../io/write-all.ts';
import type { TreeStat, UnionTree } from '../../union/tree.ts';
import { escapeName } from '../render/escape.ts';
import { archiveAttributes, linkAttributes, ordinaryAttributes } from './attributes.ts';
import { kindOf } from '../render/file/stat.ts';

export interface CopyOptions extends Abortable {
  /** Owners, setuid bits and extended attributes, too; needs root. */
  readonly archive: boolean;
  /** Told of what cannot be made here, such as devices. */
  readonly onSkipped: (message: string) => void;
}

const NEW_FILE =
  constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | (constants.O_NOFOLLOW ?? 0);
const DIRECTORY = constants.O_RDONLY | (constants.O_DIRECTORY ?? 0) | (constants.O_NOFOLLOW ?? 0);

/**
 * Copies `from` of an image to `target`, merging directories. What the image calls a file cannot
 * lead out of `target`: names are single components, no link below it is ever followed, and what
 * is in a file's way is replaced, not written through.
 */
export async function copyOut(
  tree: UnionTree,
  from: Uint8Array,
  target: string | Buffer,
  options: CopyOptions,
): Promise<void> {
  await new Copy(tree, options).node(Buffer.from(from), Buffer.from(target));
}

class Copy {
  readonly #tree: UnionTree;
  readonly #options: CopyOptions;
  /** First copy of what has several names. */
  readonly #links = new Map<string, Buffer>();

  constructor(tree: UnionTree, options: CopyOptions) {
    this.#tree = tree;
    this.#options = options;
  }

  async node(from: Buffer, to: Buffer): Promise<void> {
    this.#options.signal?.throwIfAborted();
    const stat = this.#tree.lstat(from);
    if (stat.type === 'directory') return this.#directory(from, to, stat);
    if (stat.type === 'symlink') return this.#symlink(to, stat);
    if (stat.type === 'file') return this.#file(from, to, stat);
    this.#options.onSkipped(`skipped ${escapeName(from)}: it is a ${kindOf(stat)}`);
  }

  async #directory(from: Buffer, to: Buffer, stat: TreeStat): Promise<void> {
    const isNew = makeDirectory(to);
    for (const { raw } of this.#tree.readdir(from)) {
      checkName(raw);
      await this.node(join(from, raw), join(to, raw));
    }
    if (!isNew) return;
    const fd = openSync(to, DIRECTORY);
    try {
      this.#attributes(fd, to, stat);
    } finally {
      closeSync(fd);
    }
  }

  #symlink(to: Buffer, stat: TreeStat): void {
    clear(to);
    symlinkSync(Buffer.from(stat.rawTarget ?? []), to);
    linkAttributes(to, stat, this.#options.archive);
  }

  async #file(from: Buffer, to: Buffer, stat: TreeStat): Promise<void> {
    const first = stat.nlink > 1 ? this.#links.get(stat.ino) : undefined;
    clear(to);
    if (first) return linkSync(first, to);
    const fd = openSync(to, NEW_FILE, 0o600);
    let whole = false;
    try {
      for await (const chunk of this.#tree.createReadStream(from, this.#options))
        writeAll(fd, chunk, to.toString());
      this.#attributes(fd, to, stat);
      whole = true;
    } finally {
      closeSync(fd);
      if (!whole) rmSync(to, { force: true });
    }
    if (stat.nlink > 1) this.#links.set(stat.ino, to);
  }

  #attributes(fd: number, to: Buffer, stat: TreeStat): void {
    if (this.#options.archive) archiveAttributes(fd, to, stat);
    else ordinaryAttributes(fd, stat);
  }
}

const SLASH = 0x2f;

const join = (directory: Buffer, name: Uint8Array): Buffer =>
  Buffer.concat(
    directory.at(-1) === SLASH ? [directory, name] : [directory, Buffer.of(SLASH), name],
  );

/** The index promises this; it is cheap to make sure where files are made. */
function checkName(raw: Uint8Array): void {
  const name = Buffer.from(raw).toString('latin1');
  if (
    name === '' ||
    name === '.' ||
    name === '..' ||
    name.includes('/') ||
    name.includes('\0') ||
    (WINDOWS && /[\\:]/.test(name))
  )
    throw new MicaError(
      'DATA_LOSS',
      `the image has a file of the impossible name ${JSON.stringify(name)}`,
    );
}

const WINDOWS = process.platform === 'win32';

/** @returns whether it was not there before @throws ALREADY_EXISTS when something else is, links included */
function makeDirectory(path: Buffer): boolean {
  try {
    mkdirSync(path, { mode: 0o700 });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    if (lstatSync(path).isDirectory()) return false;
    throw new MicaError(
      'ALREADY_EXISTS',
      `${escapeName(path)} is in the way: it is not a directory, and the image has one there`,
      { cause: error },
    );
  }
}

/** Makes room for a file or link. */
function clear(path: Buffer): void {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (!found) return;
  if (found.isDirectory())
    throw new MicaError(
      'ALREADY_EXISTS',
      `${escapeName(path)} is in the way: it is a directory, and the image has a file there`,
    );
  rmSync(path);
}

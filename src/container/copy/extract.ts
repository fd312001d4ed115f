import { randomBytes } from 'node:crypto';
import { fchmodSync, fchownSync, ftruncateSync, writeSync } from 'node:fs';
import { isCode, MicaError } from '../../errors.ts';
import { Root } from '../../fs/root.ts';
import type { Abortable, Bytes } from '../../io/bytes.ts';
import {
  close,
  fchownat,
  linkat,
  mkdirat,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOFOLLOW,
  O_PATH,
  O_RDONLY,
  O_WRONLY,
  openat,
  renameat,
  symlinkat,
  unlinkat,
  utimensat,
} from '../../sys/at.ts';
import { printable } from '../../sys/byte-string.ts';
import { errnoOf, fromNode } from '../../sys/errno.ts';
import { findat } from '../../sys/stat.ts';
import type { Entry } from '../../tar/entry.ts';
import { type Member, readTar } from '../../tar/read-tar.ts';

export interface ExtractOptions extends Abortable {
  /** Names at the top of the archive, and what they become: `['old', 'new']`. */
  readonly rename?: readonly [from: string, to: string] | undefined;
  /** Whose the files are; `undefined`: of whoever the archive says. */
  readonly owner?: { readonly uid: number; readonly gid: number } | undefined;
  /** Of the mode. Default: all bits. */
  readonly mask?: number | undefined;
  /** Told of what is not made: devices, pipes. */
  readonly onSkipped?: ((name: string) => void) | undefined;
}

const S_IFMT = 0o170000;
const S_IFDIR = 0o040000;

const ROOT = { uid: 0, gid: 0 };

/**
 * Puts the members of an archive into the existing directory `path` of a tree. None leads out of it:
 * below the directory no link is followed. What is in a file's way is replaced, a directory is not.
 * @param top - of the tree; links on the way to the directory are followed, inside of it
 */
export async function extractInto(
  top: string,
  path: string,
  archive: Bytes,
  options: ExtractOptions = {},
): Promise<void> {
  using root = new Root(top);
  const fd = openDirectory(root, path);
  try {
    using target = new Root(`/proc/self/fd/${fd}`);
    await new Extraction(target, options).run(archive);
  } finally {
    close(fd);
  }
}

function openDirectory(root: Root, path: string): number {
  try {
    return root.open(path, O_PATH | O_DIRECTORY);
  } catch (error) {
    const told = printable(path);
    if (isCode(error, 'NOT_FOUND'))
      throw new MicaError('NOT_FOUND', `the directory ${told} does not exist`);
    if (errnoOf(error) === 'ENOTDIR')
      throw new MicaError('FAILED_PRECONDITION', `${told} is not a directory`);
    throw error;
  }
}

class Extraction {
  readonly #target: Root;
  readonly #options: ExtractOptions;
  /** Get their times when nothing is put into them any more. */
  readonly #directories: { readonly names: readonly string[]; readonly entry: Entry }[] = [];

  constructor(target: Root, options: ExtractOptions) {
    this.#target = target;
    this.#options = options;
  }

  async run(archive: Bytes): Promise<void> {
    for await (const member of readTar(archive, this.#options)) await this.#member(member);
    for (const { names, entry } of this.#directories.toReversed())
      this.#within(names, (parent, name) => utimensat(parent, name, entry.mtime, entry.mtimeNs));
  }

  async #member(member: Member): Promise<void> {
    const names = this.#namesOf(member.name);
    // The directory itself, which is there and stays as it is.
    if (names.length === 0) return;
    const { type } = member;
    if (type === 'char' || type === 'block' || type === 'fifo')
      return this.#options.onSkipped?.(member.name);
    const parent = this.#makeParent(names);
    const name = names.at(-1)!;
    try {
      if (type === 'directory') this.#directory(parent, name, member, names);
      else {
        const linked = type === 'link' ? this.#linkedNames(member) : [];
        refuseDirectory(parent, name, member.name);
        if (type === 'link')
          return this.#within(linked, (from, first) => replaceByLink(from, first, parent, name));
        if (findat(parent, name) !== undefined) unlinkat(parent, name);
        if (type === 'symlink') symlinkat(member.linkName, parent, name);
        else return await writeFile(parent, name, member, (fd) => this.#attributes(fd, member));
      }
      if (type === 'symlink') this.#linkAttributes(parent, name, member);
    } finally {
      close(parent);
    }
  }

  #directory(parent: number, name: string, entry: Entry, names: readonly string[]): void {
    const found = findat(parent, name);
    if (found === undefined) mkdirat(parent, name, 0o700);
    else if ((found.mode & S_IFMT) !== S_IFDIR)
      throw new MicaError('ALREADY_EXISTS', `${entry.name} is in the way: it is not a directory`);
    const fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    try {
      this.#attributes(fd, entry);
    } finally {
      close(fd);
    }
    this.#directories.push({ names, entry });
  }

  #linkedNames({ name, linkName }: Entry): string[] {
    const names = this.#namesOf(linkName);
    if (names.length > 0) return names;
    throw new MicaError(
      'INVALID_ARGUMENT',
      `member ${JSON.stringify(printable(name))} is a hard link to ${JSON.stringify(linkName)}, which is no file`,
    );
  }

  /** By descriptor: a process in the tree may put a link in the place of a name at any moment. */
  #attributes(fd: number, entry: Entry): void {
    const { owner = entry, mask = 0o7777 } = this.#options;
    // The owner first: changing it takes setuid bits away.
    fchownSync(fd, owner.uid, owner.gid);
    fchmodSync(fd, entry.mode & mask);
    utimensat(fd, '', entry.mtime, entry.mtimeNs);
  }

  #linkAttributes(parent: number, name: string, entry: Entry): void {
    const { owner = entry } = this.#options;
    fchownat(parent, name, owner.uid, owner.gid);
    utimensat(parent, name, entry.mtime, entry.mtimeNs);
  }

  #within(names: readonly string[], task: (parent: number, name: string) => void): void {
    const parent = this.#open(names);
    try {
      task(parent, names.at(-1)!);
    } finally {
      close(parent);
    }
  }

  /** As docker does it: an archive need not say what is above its members. */
  #makeParent(names: readonly string[]): number {
    try {
      return this.#open(names);
    } catch (error) {
      if (errnoOf(error) === 'ELOOP') throw throughLink(names);
      if (!isCode(error, 'NOT_FOUND') || names.length === 1) throw error;
    }
    const above = names.slice(0, -1);
    const parent = this.#makeParent(above);
    try {
      const { uid, gid } = this.#options.owner ?? ROOT;
      mkdirat(parent, above.at(-1)!, 0o700);
      const fd = openat(parent, above.at(-1)!, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
      try {
        fchownSync(fd, uid, gid);
        fchmodSync(fd, 0o755);
      } finally {
        close(fd);
      }
    } finally {
      close(parent);
    }
    return this.#open(names);
  }

  /** The directory that holds the last of the names. */
  #open(names: readonly string[]): number {
    return this.#target.openExact(names.slice(0, -1).join('/'), O_PATH | O_DIRECTORY);
  }

  #namesOf(path: string): string[] {
    const names = path.split('/').filter((name) => name !== '' && name !== '.');
    if (names.includes('..'))
      throw new MicaError(
        'INVALID_ARGUMENT',
        `member ${JSON.stringify(path)} leads out of its archive`,
      );
    const [from, to] = this.#options.rename ?? [];
    if (from === undefined || to === undefined) return names;
    if (from === '') return [to, ...names];
    return names[0] === from ? [to, ...names.slice(1)] : names;
  }
}

const throughLink = (names: readonly string[]): MicaError =>
  new MicaError(
    'INVALID_ARGUMENT',
    `member ${JSON.stringify(printable(names.join('/')))} leads through a symbolic link, and none is followed; copy to where the link leads`,
  );

function refuseDirectory(parent: number, name: string, path: string): void {
  const found = findat(parent, name);
  if (found !== undefined && (found.mode & S_IFMT) === S_IFDIR)
    throw new MicaError('ALREADY_EXISTS', `${path} is in the way: it is a directory`);
}

/** What is in the way goes only when there is a link in its place: there may be none to be had. */
function replaceByLink(from: number, first: string, parent: number, name: string): void {
  if (findat(parent, name) === undefined) return linkat(from, first, parent, name);
  const temporary = `.mica-link-${randomBytes(6).toString('hex')}`;
  linkat(from, first, parent, temporary);
  try {
    renameat(parent, temporary, parent, name);
  } finally {
    // Where both names had been one file's already, rename(2) leaves both.
    if (findat(parent, temporary) !== undefined) unlinkat(parent, temporary);
  }
}

async function writeFile(
  parent: number,
  name: string,
  { content, sparse, size }: Member,
  whole: (fd: number) => void,
): Promise<void> {
  const fd = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  try {
    const runs = (sparse ?? [{ offset: 0, length: size }]).values();
    let run = runs.next().value;
    let done = 0;
    for await (const chunk of content)
      for (let at = 0; at < chunk.length && run !== undefined;) {
        const length = Math.min(chunk.length - at, run.length - done);
        const written = writeAt(fd, chunk.subarray(at, at + length), run.offset + done, name);
        at += written;
        done += written;
        if (done === run.length) [run, done] = [runs.next().value, 0];
      }
    if (sparse !== undefined) ftruncateSync(fd, size);
    whole(fd);
  } finally {
    close(fd);
  }
}

function writeAt(fd: number, bytes: Uint8Array, offset: number, name: string): number {
  try {
    return writeSync(fd, bytes, 0, bytes.length, offset);
  } catch (error) {
    throw fromNode(error, Buffer.from(name, 'latin1').toString());
  }
}

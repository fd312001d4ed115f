import { type Node, S_IFBLK, S_IFCHR, S_IFLNK, S_IFREG } from '../../erofs/node.ts';
import { copyData } from '../../fs/data.ts';
import { removeTreeAt } from '../../fs/remove.ts';
import { Root } from '../../fs/root.ts';
import type { LayerForm } from '../../snapshot/driver.ts';
import * as at from '../../sys/at.ts';
import { errnoOf } from '../../sys/errno.ts';
import { fchmod, fchown } from '../../sys/file.ts';
import { AufsMarks } from './aufs-marks.ts';
import { Attributes, clearXattrs, setOrLeave } from './attributes.ts';
import { DirectoryFds } from './directory-fds.ts';
import { FileWriter } from './file-writer.ts';
import { directoryMarks, OVERLAY_XATTRS } from '../changeset/marks.ts';
import { pruneLower } from './prune.ts';
import type { LayerSink, Place } from '../changeset/sink.ts';
import { isDirectoryNode, isWhiteoutNode, typeOf } from '../changeset/tree.ts';

export interface ExtractOptions {
  readonly form: Exclude<LayerForm, 'tar' | 'windows'>;
  /** Directories with the files of the lower layers, base first: what is copied up comes from there. */
  readonly lowerFiles?: readonly string[];
  /** Whether the process' umask is 0, so that modes need not be set a second time. */
  readonly exactModes?: boolean;
}

/** Overlay's attribute family per form; `direct` deletes for real and needs none, AUFS has files. */
const FAMILY = {
  overlay: OVERLAY_XATTRS[0],
  userxattr: OVERLAY_XATTRS[1],
  aufs: undefined,
  direct: undefined,
} as const;

/**
 * Makes a layer's files in a directory. Nothing here follows a symbolic link: every name is opened
 * in a directory that was itself reached name by name.
 */
export class Extraction implements LayerSink {
  readonly #fds: DirectoryFds;
  readonly #options: ExtractOptions;
  readonly #attributes: Attributes;
  /** Modes that this layer's directories were made with. */
  readonly #made = new Map<Node, number>();
  readonly #aufs: AufsMarks | undefined;
  #file: FileWriter | undefined;

  /** @param path - the existing directory: empty, or with the parents' files in form `direct` */
  constructor(path: string, options: ExtractOptions) {
    this.#fds = new DirectoryFds(path);
    this.#options = options;
    this.#attributes = new Attributes(options.exactModes ?? false, this.#isDirect);
    if (options.form === 'aufs') this.#aufs = new AufsMarks();
    try {
      if (!this.#isDirect) this.#disinherit();
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  get #isDirect(): boolean {
    return this.#options.form === 'direct';
  }

  directory(parent: string, name: string, node: Node): void {
    const dirfd = this.#fds.fd(parent);
    const mode = node.mode & 0o777;
    if (this.#isDirect && this.#hasDirectory(dirfd, name)) return;
    this.#make(dirfd, name, () => at.mkdirat(dirfd, name, mode));
    this.#made.set(node, mode);
  }

  file(parent: string, name: string, node: Node): void {
    const dirfd = this.#fds.fd(parent);
    const flags = at.O_WRONLY | at.O_CREAT | at.O_EXCL | at.O_NOFOLLOW;
    const mode = node.mode & 0o777;
    const fd = this.#make(dirfd, name, () => at.openat(dirfd, name, flags, mode));
    this.#file = new FileWriter(fd, name, node);
  }

  data(chunk: Uint8Array): void {
    this.#file?.write(chunk);
  }

  end(): void {
    const file = this.#file;
    if (file === undefined) return;
    file.finish();
    this.#attributes.ofFile(file.fd, file.node, file.node.mode & 0o777, file.name);
    this.#closeFile();
  }

  special(parent: string, name: string, node: Node): void {
    const dirfd = this.#fds.fd(parent);
    if (typeOf(node) === S_IFLNK)
      this.#make(dirfd, name, () => at.symlinkat(node.target!, dirfd, name));
    else if (!this.#node(dirfd, name, node)) return;
    this.#attributes.ofName(dirfd, name, node);
  }

  link(target: Place, parent: string, name: string, node: Node): void {
    const to = this.#fds.both(parent, target.parent);
    const from = this.#fds.fd(target.parent);
    try {
      this.#make(to, name, () => at.linkat(from, target.name, to, name));
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT' || !isDevice(node)) throw error;
    }
  }

  copyUp(parent: string, name: string, node: Node, layer: number): void {
    if (this.#isDirect) return;
    if (typeOf(node) !== S_IFREG) return this.special(parent, name, node);
    using lower = new Root(this.#options.lowerFiles![layer]!);
    const from = lower.openExact(parent === '' ? name : `${parent}/${name}`, at.O_RDONLY);
    try {
      this.file(parent, name, node);
      copyData(from, this.#file!.fd, node.size, name);
      this.#attributes.ofFile(this.#file!.fd, node, node.mode & 0o777, name);
    } finally {
      at.close(from);
      this.#closeFile();
    }
  }

  remove(parent: string, name: string): void {
    this.#fds.forget(parent === '' ? name : `${parent}/${name}`);
    removeTreeAt(this.#fds.fd(parent), name);
  }

  whiteout(parent: string, name: string): void {
    if (this.#isDirect) this.remove(parent, name);
    // AUFS' own are made at the end: until then something may come to be there after all.
    else if (this.#aufs === undefined) at.mknodat(this.#fds.fd(parent), name, S_IFCHR, 0);
  }

  opaque(path: string, directory: Node): void {
    if (!this.#isDirect) return;
    this.#fds.forget(path);
    pruneLower(this.#fds.fd(path), directory);
  }

  finish(root: Node, opaque: ReadonlySet<Node>): void {
    this.#describe('', '.', root, opaque);
    this.#finishBelow('', root, opaque);
  }

  [Symbol.dispose](): void {
    this.#closeFile();
    this.#aufs?.[Symbol.dispose]();
    this.#fds[Symbol.dispose]();
  }

  /** Takes from the directory what new files in it would get from it: its group, a default ACL. */
  #disinherit(): void {
    const fd = at.openat(this.#fds.fd(''), '.', at.O_RDONLY | at.O_DIRECTORY);
    try {
      clearXattrs(fd);
      fchown(fd, process.geteuid?.() ?? 0, process.getegid?.() ?? 0, '');
      fchmod(fd, 0o700, '');
    } finally {
      at.close(fd);
    }
  }

  #finishBelow(path: string, node: Node, opaque: ReadonlySet<Node>): void {
    for (const [name, child] of node.children!) {
      if (!isDirectoryNode(child)) continue;
      this.#describe(path, name, child, opaque);
      this.#finishBelow(path === '' ? name : `${path}/${name}`, child, opaque);
    }
  }

  #describe(parent: string, name: string, node: Node, opaque: ReadonlySet<Node>): void {
    const dirfd = this.#fds.fd(parent);
    const made = this.#made.get(node);
    const whiteouts = this.#aufs?.areIn(node) ?? node.children!.values().some(isWhiteoutNode);
    const isMarked = !this.#isDirect && (whiteouts || opaque.has(node));
    if (!isMarked && this.#attributes.isComplete(node, made))
      return at.utimensat(dirfd, name, node.mtime, node.mtimeNs);
    const fd = at.openat(dirfd, name, at.O_RDONLY | at.O_DIRECTORY | at.O_NOFOLLOW);
    try {
      const family = FAMILY[this.#options.form];
      const marks = family && directoryMarks(family, { opaque: opaque.has(node), whiteouts });
      for (const mark of marks ?? []) setOrLeave(fd, mark);
      this.#aufs?.mark(fd, node, opaque.has(node));
      this.#attributes.ofFile(fd, node, made, name);
    } finally {
      at.close(fd);
    }
  }

  /**
   * Makes a device or fifo. Without the right to make devices (in a user namespace) a whiteout
   * takes its place, so that at least nothing of a lower layer shows there.
   */
  #node(dirfd: number, name: string, node: Node): boolean {
    try {
      this.#make(dirfd, name, () => at.mknodat(dirfd, name, node.mode, node.rdev));
      return true;
    } catch (error) {
      if (errnoOf(error) !== 'EPERM' || !isDevice(node)) throw error;
      if (this.#isDirect) removeTreeAt(dirfd, name);
      else if (this.#aufs !== undefined) this.#aufs.cannotMake(node);
      else at.mknodat(dirfd, name, S_IFCHR, 0);
      return false;
    }
  }

  /** Makes something new. Only in form `direct` can there be something already: the lower layers' file. */
  #make<T>(dirfd: number, name: string, make: () => T): T {
    try {
      return make();
    } catch (error) {
      if (!this.#isDirect || errnoOf(error) !== 'EEXIST') throw error;
      removeTreeAt(dirfd, name);
      return make();
    }
  }

  #hasDirectory(dirfd: number, name: string): boolean {
    try {
      at.close(at.opendirat(dirfd, name));
      return true;
    } catch (error) {
      if (!['ENOENT', 'ENOTDIR', 'ELOOP'].includes(errnoOf(error) ?? '')) throw error;
      return false;
    }
  }

  #closeFile(): void {
    const file = this.#file;
    this.#file = undefined;
    if (file !== undefined) at.close(file.fd);
  }
}

const isDevice = (node: Node): boolean => typeOf(node) === S_IFCHR || typeOf(node) === S_IFBLK;

import { isCode, MicaError } from '../../errors.ts';
import type { Root } from '../../fs/root.ts';
import { close, O_NONBLOCK, O_RDONLY } from '../../sys/at.ts';
import { pread } from '../../sys/file.ts';
import { type FileStat, statat } from '../../sys/stat.ts';
import { shown } from '../changeset/member-name.ts';
import type { Present } from './change.ts';

/** A changed regular file while it is read: it must stay what it was when the change was seen, which whoever reads it checks. */
export class OpenFile implements Disposable {
  readonly fd: number;
  readonly #change: Present;

  constructor(root: Root, change: Present) {
    this.#change = change;
    // What was put in its place meanwhile may be a fifo, which must not make us wait.
    this.fd = openUnchanged(root, change);
  }

  /** @returns `into`, filled */
  read(offset: number, into: Uint8Array): Uint8Array {
    const { path } = this.#change;
    try {
      if (pread(this.fd, into, offset, path) < into.length) throw changed(path);
    } catch (error) {
      this.checkUnchanged();
      throw error;
    }
    return into;
  }

  checkUnchanged(): void {
    if (!isSame(statat(this.fd, ''), this.#change.stat)) throw changed(this.#change.path);
  }

  [Symbol.dispose](): void {
    close(this.fd);
  }
}

function openUnchanged(root: Root, { path }: Present): number {
  try {
    return root.openExact(path, O_RDONLY | O_NONBLOCK);
  } catch (error) {
    // Gone, or something that cannot be opened so.
    if (isCode(error, 'NOT_FOUND') || isCode(error, 'INVALID_ARGUMENT')) throw changed(path);
    throw error;
  }
}

const isSame = (now: FileStat, before: FileStat): boolean =>
  now.ino === before.ino &&
  now.mode === before.mode &&
  now.size === before.size &&
  now.mtime === before.mtime &&
  now.mtimeNs === before.mtimeNs &&
  now.ctime === before.ctime &&
  now.ctimeNs === before.ctimeNs;

const changed = (path: string): MicaError =>
  new MicaError(
    'FAILED_PRECONDITION',
    `${shown(path)} changed while it was read; stop or pause what writes there, and try again`,
  );

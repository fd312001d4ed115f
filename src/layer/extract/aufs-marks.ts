import type { Node } from '../../erofs/node.ts';
import { OPAQUE_WHITEOUT, WHITEOUT_PREFIX } from '../../oci/whiteout.ts';
import * as at from '../../sys/at.ts';
import { errnoOf } from '../../sys/errno.ts';
import { isWhiteoutNode } from '../changeset/tree.ts';

/** What the kernel's AUFS gives its own; of others it asks only that they are files. */
const MODE = 0o444;

/**
 * Makes AUFS' marks in the directories of a layer: empty files, all names of one as long as the file
 * system allows, which is how AUFS makes them.
 */
export class AufsMarks implements Disposable {
  /** Devices that nobody may make here, in a user namespace: a whiteout takes their place. */
  readonly #unmade = new Set<Node>();
  #first: { readonly dirfd: number; readonly name: string } | undefined;

  cannotMake(device: Node): void {
    this.#unmade.add(device);
  }

  /** Whether there is anything to mark in directory `node`, besides that it is opaque. */
  areIn(node: Node): boolean {
    return node.children!.values().some((child) => this.#isWhiteout(child));
  }

  /** Of the open directory `dirfd`, which is `node`. */
  mark(dirfd: number, node: Node, isOpaque: boolean): void {
    for (const [name, child] of node.children!)
      if (this.#isWhiteout(child)) this.#make(dirfd, WHITEOUT_PREFIX + name);
    if (isOpaque) this.#make(dirfd, OPAQUE_WHITEOUT);
  }

  [Symbol.dispose](): void {
    if (this.#first !== undefined) at.close(this.#first.dirfd);
    this.#first = undefined;
  }

  #isWhiteout(node: Node): boolean {
    return isWhiteoutNode(node) || this.#unmade.has(node);
  }

  #make(dirfd: number, name: string): void {
    if (this.#linked(dirfd, name)) return;
    const flags = at.O_WRONLY | at.O_CREAT | at.O_EXCL | at.O_NOFOLLOW;
    at.close(at.openat(dirfd, name, flags, MODE));
    this[Symbol.dispose]();
    this.#first = { dirfd: at.opendirat(dirfd, '.'), name };
  }

  /** @returns `false` where there is nothing to link to, or it has as many names as it can have */
  #linked(dirfd: number, name: string): boolean {
    if (this.#first === undefined) return false;
    try {
      at.linkat(this.#first.dirfd, this.#first.name, dirfd, name);
      return true;
    } catch (error) {
      if (!['EMLINK', 'EPERM', 'EOPNOTSUPP'].includes(errnoOf(error) ?? '')) throw error;
      return false;
    }
  }
}

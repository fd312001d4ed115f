import { OPAQUE_WHITEOUT, WHITEOUT_PREFIX } from '../oci/whiteout.ts';
import type { Member, Tree } from './tree.ts';

/**
 * What a stack of layers means, said in the most naive way there is: a map from path to file, to
 * which each layer is applied after the other. The oracle for everything cleverer.
 */
export class StackModel {
  /** By path, without leading slash; the root is not in it. Names of one file share the object. */
  readonly files: Map<string, Member> = new Map();

  /** @returns what the layer did to the files (directories not counted) */
  apply(layer: Tree): { added: number; changed: number; deleted: number } {
    const before = new Map(this.files);
    for (const { name } of layer) this.#whiteOut(name.replace(/^\.\//, ''));
    for (const member of layer) this.#put(member);
    const count = { added: 0, changed: 0, deleted: 0 };
    for (const path of new Set([...before.keys(), ...this.files.keys()])) {
      const [old, file] = [notDirectory(before.get(path)), notDirectory(this.files.get(path))];
      if (file && !old) count.added++;
      else if (!file && old) count.deleted++;
      else if (file && file !== old) count.changed++;
    }
    return count;
  }

  /** Bytes of the regular files that can be seen, each once whatever names it has. */
  bytes(): number {
    return bytesOf(this.files.values());
  }

  #whiteOut(path: string): void {
    const slash = path.lastIndexOf('/') + 1;
    const [directory, name] = [path.slice(0, slash), path.slice(slash)];
    if (name === OPAQUE_WHITEOUT) this.#clear(directory);
    else if (name.startsWith(WHITEOUT_PREFIX))
      this.#remove(directory + name.slice(WHITEOUT_PREFIX.length));
  }

  #put(member: Member): void {
    const { name, type } = member;
    if (name === './' || name.includes(WHITEOUT_PREFIX)) return;
    const file = type === 'link' ? this.files.get(member.linkName)! : member;
    const merges = type === 'directory' && this.files.get(name)?.type === 'directory';
    if (!merges) this.#remove(name);
    this.files.set(name, file);
  }

  #remove(path: string): void {
    this.files.delete(path);
    this.#clear(`${path}/`);
  }

  #clear(prefix: string): void {
    for (const path of this.files.keys()) if (path.startsWith(prefix)) this.files.delete(path);
  }
}

/** Bytes of regular files, each once whatever names it has. */
export function bytesOf(files: Iterable<Member>): number {
  let bytes = 0;
  for (const { type, size } of new Set(files)) if (type === 'file') bytes += size;
  return bytes;
}

const notDirectory = (file: Member | undefined): Member | undefined =>
  file?.type === 'directory' ? undefined : file;

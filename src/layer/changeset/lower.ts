import {
  type Extent,
  type IndexDevice,
  Node,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  UNMAPPED_DEVICE,
} from '../../erofs/node.ts';
import { openIndex } from '../../erofs/read.ts';
import { isDirectory, openStack, type Stack, type StackNode } from '../../erofs/stack.ts';
import { isCode } from '../../errors.ts';
import { foldName } from '../../windows/fold.ts';
import { isReservedXattr } from './marks.ts';

/** What the layers below look like together, for a layer that depends on them. */
export interface Lower extends Disposable {
  /** What they have at a path without symbolic links; `undefined` when nothing. */
  find(names: readonly string[], ignoresCase?: boolean): LowerNode | undefined;
}

export interface LowerNode {
  readonly kind: 'directory' | 'symlink' | 'other';
  /** Of a symbolic link. */
  readonly target: string | undefined;
  /** The layer that provides it: 0 is the base. */
  readonly layer: number;
  /** Names in a directory. */
  names(): string[];
  /**
   * It, as a node of the layer above. Content becomes extents in the tars of lower layers, which
   * `deviceOf` gives numbers.
   */
  copy(deviceOf: (device: IndexDevice) => number): Node;
}

/** No layers: the layer is the base. */
export const nothingBelow: Lower = { find: () => undefined, [Symbol.dispose]() {} };

/**
 * Nothing is opened before somebody asks: most layers never do.
 * @param sources - paths of `index.erofs`, or the bytes of them, base layer first
 */
export function lowerOf(sources: readonly (string | Uint8Array)[]): Lower {
  if (sources.length === 0) return nothingBelow;
  const opened = new DisposableStack();
  const open = (fold: ((name: string) => string) | undefined): Stack => {
    const indexes = sources.map((source) => openIndex(source));
    for (const index of indexes) opened.defer(() => index.close());
    return openStack(indexes, { fold });
  };
  const stacks = new Map<boolean, Stack>();
  return {
    find(names, ignoresCase = false) {
      const stack = stacks.get(ignoresCase) ?? open(ignoresCase ? foldName : undefined);
      stacks.set(ignoresCase, stack);
      const node = stack.lookup(names);
      return node && lowerNode(stack, node);
    },
    [Symbol.dispose]() {
      opened.dispose();
    },
  };
}

function lowerNode(stack: Stack, node: StackNode): LowerNode {
  const { layer, inode } = node;
  const index = stack.indexes[layer]!;
  const isLink = (inode.mode & S_IFMT) === S_IFLNK;
  return {
    kind: isDirectory(inode) ? 'directory' : isLink ? 'symlink' : 'other',
    target: isLink ? index.readlink(inode.nid) : undefined,
    layer,
    names: () => stack.readdir(node).map(({ name }) => name),
    copy(deviceOf) {
      const copy = new Node(inode.mode);
      const { uid, gid, size, mtime, mtimeNs, rdev } = inode;
      Object.assign(copy, { uid, gid, mtime, mtimeNs, rdev, size: isDirectory(inode) ? 0 : size });
      if (isLink) copy.target = index.readlink(inode.nid);
      if (inode.hasXattrs)
        copy.xattrs = index.xattrs(inode.nid).filter(({ name }) => !isReservedXattr(name));
      if ((inode.mode & S_IFMT) === S_IFREG)
        copy.extents = extentsOf(stack, node).map(({ device, logical, physical, length }) => {
          const here = index.devices[device - 1];
          return { device: here ? deviceOf(here) : UNMAPPED_DEVICE, logical, physical, length };
        });
      return copy;
    },
  };
}

/** An index that knows the file without its content (the layer's own tree has it) refuses to tell. */
function extentsOf(stack: Stack, { layer, inode }: StackNode): Extent[] {
  try {
    return stack.indexes[layer]!.extents(inode.nid);
  } catch (error) {
    if (!isCode(error, 'FAILED_PRECONDITION')) throw error;
    return [{ logical: 0, device: UNMAPPED_DEVICE, physical: 0, length: inode.size }];
  }
}

import type { Index, Inode } from './index-file.ts';
import { isOpaque, isWhiteout } from './index-file.ts';
import type { Stack } from './stack.ts';
import { isDirectory } from './stack.ts';

/** One layer's word on a path. */
export interface Version {
  readonly layer: number;
  /**
   *  - `provides`: what one sees
   *  - `merges`: a directory whose content joins that of the one above it
   *  - `hidden`: nobody sees it, for the reason in {@link by}
   *  - `deletes`: the layer takes away what lies below, as {@link by} says, and has nothing itself
   */
  readonly kind: 'provides' | 'merges' | 'hidden' | 'deletes';
  /** As the layer has it; not for `deletes`. */
  readonly inode: Inode | undefined;
  readonly by: Cover | undefined;
}

/** Why a lower version is not seen. */
export interface Cover {
  readonly layer: number;
  /**
   *  - `version`: a newer version of the path itself
   *  - `whiteout`: a deletion of the path or of a directory above it
   *  - `opaque`: a directory above it, or itself, hides what lower layers have in it
   *  - `replacement`: a directory above it became something else
   */
  readonly how: 'version' | 'whiteout' | 'opaque' | 'replacement';
  /** How many of the names lead to what does it. */
  readonly depth: number;
}

/** What each layer says about the path `names`, topmost first; layers without a word are left out. */
export function versionsOf(stack: Stack, names: readonly string[]): Version[] {
  const versions: Version[] = [];
  let cover: Cover | undefined;
  let seen = false;
  for (let layer = stack.indexes.length - 1; layer >= 0; layer--) {
    const word = wordOf(stack.indexes[layer]!, layer, names);
    const { inode } = word;
    if (inode && cover) versions.push({ layer, kind: 'hidden', inode, by: cover });
    else if (inode && seen && !isDirectory(inode))
      versions.push({ layer, kind: 'hidden', inode, by: directoryAbove(versions, names.length) });
    else if (inode)
      versions.push({ layer, kind: seen ? 'merges' : 'provides', inode, by: undefined });
    else if (word.cover?.how === 'whiteout')
      versions.push({ layer, kind: 'deletes', inode, by: word.cover });
    seen ||= inode !== undefined;
    cover ??= word.cover;
  }
  return versions;
}

/** A directory over something else hides it, though it would let a directory through. */
function directoryAbove(versions: readonly Version[], depth: number): Cover {
  const nearest = versions.findLast((version) => version.inode !== undefined)!;
  return { layer: nearest.layer, how: 'version', depth };
}

interface Word {
  readonly inode: Inode | undefined;
  /** What this layer does to the versions below it. */
  readonly cover: Cover | undefined;
}

function wordOf(index: Index, layer: number, names: readonly string[]): Word {
  let inode = index.stat(index.root);
  let opaque: Cover | undefined;
  for (let depth = 0; ; depth++) {
    const last = depth === names.length;
    if (isWhiteout(inode)) return { inode: undefined, cover: { layer, how: 'whiteout', depth } };
    if (!isDirectory(inode))
      return last
        ? { inode, cover: { layer, how: 'version', depth } }
        : { inode: undefined, cover: { layer, how: 'replacement', depth } };
    if (!opaque && isOpaque(index, inode)) opaque = { layer, how: 'opaque', depth };
    if (last) return { inode, cover: opaque };
    const nid = index.lookup(inode.nid, names[depth]!);
    if (nid === undefined) return { inode: undefined, cover: opaque };
    inode = index.stat(nid);
  }
}

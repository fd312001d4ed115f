import { type Node, S_IFLNK, S_IFREG } from '../../erofs/node.ts';
import type { LayerStats } from '../unpack-job.ts';
import { isDirectoryNode, isWhiteoutNode, typeOf } from './tree.ts';

/** Counts what a layer's tree holds. */
export function statsOf(root: Node, opaque: ReadonlySet<Node>): LayerStats {
  const stats = { entries: 0, files: 0, directories: 0, symlinks: 0, others: 0, whiteouts: 0 };
  const seen = new Set<Node>();
  let [bytes, opaques] = [0, opaque.has(root) ? 1 : 0];
  const visit = (directory: Node): void => {
    for (const node of directory.children!.values()) {
      if (isDirectoryNode(node)) {
        if (opaque.has(node)) opaques++;
        visit(node);
        if (!node.implicit) stats.directories++;
      } else if (isWhiteoutNode(node)) stats.whiteouts++;
      else {
        const type = typeOf(node);
        if (type === S_IFREG) stats.files++;
        else if (type === S_IFLNK) stats.symlinks++;
        else stats.others++;
        if (seen.size < seen.add(node).size) bytes += node.size;
      }
    }
  };
  visit(root);
  const { files, directories, symlinks, others } = stats;
  return { ...stats, entries: files + directories + symlinks + others, opaques, bytes };
}

import type { Node } from '../../erofs/node.ts';
import { removeTreeAt } from '../../fs/remove.ts';
import * as at from '../../sys/at.ts';
import { readNames } from '../../sys/dirents.ts';
import { isDirectoryNode, isWhiteoutNode } from '../changeset/tree.ts';

/** Removes what lies in the directory `dirfd` and is not `directory`'s own, at every level. */
export function pruneLower(dirfd: number, directory: Node): void {
  const fd = at.openat(dirfd, '.', at.O_RDONLY | at.O_DIRECTORY);
  try {
    for (const name of readNames(fd)) {
      const own = directory.children!.get(name);
      if (own === undefined || isWhiteoutNode(own)) removeTreeAt(fd, name);
      else if (isDirectoryNode(own)) pruneNamed(fd, name, own);
    }
  } finally {
    at.close(fd);
  }
}

function pruneNamed(dirfd: number, name: string, directory: Node): void {
  const fd = at.opendirat(dirfd, name);
  try {
    pruneLower(fd, directory);
  } finally {
    at.close(fd);
  }
}

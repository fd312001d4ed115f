import { MicaError } from '../../errors.ts';
import { type SourceFile, type SourceTree, toText, under } from './source-tree.ts';

/** As Linux. */
const MAX_LINKS = 40;

/** What a path is walked through. */
export type Looked = Pick<SourceTree, 'name'> & {
  lstat(path: string): Pick<SourceFile, 'type' | 'target'> | undefined;
};

/**
 * Where `path` leads with symbolic links followed inside of the tree: absolute targets begin at its
 * root, and `..` of the root is the root. What does not exist is kept as it is written.
 * @param follow - the last component, too
 * @throws FAILED_PRECONDITION after 40 links
 */
export function resolveIn(tree: Looked, path: string, follow = true): string {
  let at = '';
  let links = 0;
  const pending = path.split('/').reverse();
  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    if (name === '' || name === '.') continue;
    if (name === '..') {
      at = at.slice(0, Math.max(0, at.lastIndexOf('/')));
      continue;
    }
    const next = under(at, name);
    const file = tree.lstat(next);
    const isLast = pending.every((rest) => rest === '' || rest === '.');
    if (file?.type !== 'symlink' || (isLast && !follow)) {
      at = next;
      continue;
    }
    if (++links > MAX_LINKS)
      throw new MicaError(
        'FAILED_PRECONDITION',
        `${toText(path)} in ${tree.name}: more than ${MAX_LINKS} symbolic links`,
      );
    if (file.target.startsWith('/')) at = '';
    pending.push(...file.target.split('/').reverse());
  }
  return at;
}

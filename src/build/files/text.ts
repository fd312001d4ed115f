import { PLAIN, PLAIN_DIRECTORY, type SourceFile, type SourceTree } from './source-tree.ts';

/** A tree of one file, whose text stands elsewhere: in the Dockerfile. @param mtime - in seconds since 1970 */
export function textTree(name: string, text: string, mtime: number): SourceTree {
  const content = Buffer.from(text, 'utf8');
  const file: SourceFile = { ...PLAIN, type: 'file', mode: 0o644, size: content.length, mtime };
  return {
    name: 'the Dockerfile',
    lstat: (path) => (path === name ? file : path === '' ? PLAIN_DIRECTORY : undefined),
    names: (path) => (path === '' ? [name] : []),
    async *read() {
      yield content;
    },
  };
}

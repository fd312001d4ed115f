import { majorOf, minorOf, type Node, S_IFCHR, S_IFDIR, S_IFLNK, S_IFMT } from '../erofs/node.ts';
import type { Entry, EntryHandler } from '../tar/entry.ts';
import type { Tree } from './tree.ts';

const BLOCK = 512;

/** Hands the members of a layer to `handler` as a reader of its archive would. */
export function feed(handler: EntryHandler, tree: Tree): void {
  let position = 0;
  for (const { content, ...member } of tree) {
    position += BLOCK;
    const entry: Entry = { ...member, dataOffset: position, dataSize: content.length };
    handler.entry(entry);
    if (content.length > 0) handler.data(content);
    handler.end();
    position += Math.ceil(content.length / BLOCK) * BLOCK;
  }
}

/**
 * A tree of nodes in short, a line a name in byte order:
 *
 *     bin/              a directory; `implicit` when no entry described it, `opaque` when it hides
 *     bin/sh -> busybox
 *     bin/busybox 1024  a file and its size
 *     bin/ash = bin/busybox
 *     dev/null char 1:3
 *     etc/motd gone
 */
export function outline(root: Node): string[] {
  const lines = [`/${flags(root)}`];
  const names = new Map<Node, string>();
  const visit = (node: Node, prefix: string): void => {
    for (const [name, child] of [...node.children!].sort(([a], [b]) => (a < b ? -1 : 1))) {
      const path = prefix + name;
      const first = names.get(child);
      names.set(child, first ?? path);
      lines.push(first === undefined ? line(path, child) : `${path} = ${first}`);
      if (child.children) visit(child, `${path}/`);
    }
  };
  visit(root, '');
  return lines;
}

function line(path: string, node: Node): string {
  const type = node.mode & S_IFMT;
  if (type === S_IFDIR) return `${path}/${flags(node)}`;
  if (type === S_IFLNK) return `${path} -> ${node.target}`;
  if (type === S_IFCHR && node.rdev === 0) return `${path} gone`;
  if (type === S_IFCHR) return `${path} char ${majorOf(node.rdev)}:${minorOf(node.rdev)}`;
  return `${path} ${node.size}`;
}

const flags = (node: Node): string =>
  [
    node.implicit ? ' implicit' : '',
    node.xattrs?.some(({ name }) => name === 'trusted.overlay.opaque') ? ' opaque' : '',
  ].join('');

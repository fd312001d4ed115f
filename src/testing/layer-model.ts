import { createHash } from 'node:crypto';
import { OPAQUE_WHITEOUT, WHITEOUT_PREFIX } from '../oci/whiteout.ts';
import type { Listed } from './listing.ts';
import type { Member } from './tree.ts';

interface File {
  /** Whose attributes it has; `undefined`: nobody described it. */
  member: Member | undefined;
  readonly children: Map<string, File> | undefined;
  readonly whiteout: boolean;
  opaque: boolean;
}

const directory = (member?: Member): File => ({
  member,
  children: new Map(),
  whiteout: false,
  opaque: false,
});

/**
 * What one layer's archive means, said as docs/layer-format.md says it and in the most naive way
 * there is: the oracle for the changeset, the index and its reader together.
 */
export class LayerModel {
  readonly #root = directory();

  /** Applies a member. @returns whether it means something without layers below; if not, nothing was done */
  apply(member: Member): boolean {
    const names = member.name.split('/').filter((name) => name !== '' && name !== '.');
    const name = names.pop();
    if (name === undefined) {
      this.#root.member = member;
      return member.type === 'directory';
    }
    const parent = this.#find(names);
    if (!parent?.children) return false;
    if (name === OPAQUE_WHITEOUT) {
      parent.opaque = true;
      return parent !== this.#root;
    }
    if (name.startsWith(WHITEOUT_PREFIX))
      return whiteOut(parent.children, name.slice(WHITEOUT_PREFIX.length));
    if (member.type === 'link') return this.#link(parent.children, name, member);
    return put(parent.children, name, member);
  }

  /** The tree as the index should show it. */
  list(): Listed[] {
    const [names, links] = [new Map<File, string>(), new Map<File, number>()];
    const files: Listed[] = [];
    const count = (file: File): void => {
      links.set(file, (links.get(file) ?? 0) + 1);
      for (const child of file.children?.values() ?? []) count(child);
    };
    count(this.#root);
    const visit = (file: File, path: string): void => {
      if (!names.has(file)) names.set(file, path);
      const children = [...(file.children ?? [])].sort(([a], [b]) => (a < b ? -1 : 1));
      const nlink = file.children
        ? 2 + children.filter(([, child]) => child.children).length
        : links.get(file)!;
      files.push({ path, nlink, inode: names.get(file)!, ...factsOf(file) });
      for (const [name, child] of children) visit(child, `${path}/${name}`);
    };
    visit(this.#root, '');
    return files;
  }

  #find(names: readonly string[]): File | undefined {
    let file: File | undefined = this.#root;
    for (const name of names) file = file?.children?.get(name);
    return file;
  }

  #link(children: Map<string, File>, name: string, { name: path, linkName }: Member): boolean {
    const target = this.#find(linkName.split('/'));
    if (!target || target.children || target.whiteout) return false;
    // A link in the place of a directory that its target lies in.
    if (linkName.startsWith(`${path}/`)) return false;
    children.set(name, target);
    return true;
  }
}

function whiteOut(children: Map<string, File>, name: string): boolean {
  const old = children.get(name);
  if (old?.children) old.opaque = true;
  if (!old)
    children.set(name, { member: undefined, children: undefined, whiteout: true, opaque: false });
  return true;
}

/** A directory over a directory keeps its content; anything else replaces, and hides what is below. */
function put(children: Map<string, File>, name: string, member: Member): boolean {
  const old = children.get(name);
  if (member.type !== 'directory')
    children.set(name, { member, children: undefined, whiteout: false, opaque: false });
  else if (old?.children) old.member = member;
  else children.set(name, { ...directory(member), opaque: old !== undefined });
  return true;
}

const TYPES: Readonly<Record<Member['type'], number>> = {
  file: 0o100000,
  link: 0,
  symlink: 0o120000,
  char: 0o020000,
  block: 0o060000,
  directory: 0o040000,
  fifo: 0o010000,
};

type Facts = Omit<Listed, 'path' | 'nlink' | 'inode'>;

function factsOf(file: File): Facts {
  const { member } = file;
  const type = file.children ? 'directory' : (member?.type ?? 'char');
  const permissions = member?.mode ?? (file.whiteout ? 0 : 0o755);
  return {
    mode: `0${(TYPES[type] | permissions).toString(8)}`,
    owner: `${member?.uid ?? 0}:${member?.gid ?? 0}`,
    size: type === 'symlink' ? member!.linkName.length : (member?.size ?? 0),
    mtime: BigInt(member?.mtime ?? 0) * 1_000_000_000n + BigInt(member?.mtimeNs ?? 0),
    device: `${member?.deviceMajor ?? 0}:${member?.deviceMinor ?? 0}`,
    target: type === 'symlink' ? member!.linkName : undefined,
    xattrs: xattrsOf(file),
    content: type === 'file' ? hashOf(member!) : undefined,
  };
}

/** Namespaces that an index has room for. */
const KEPT = /^(?:user\.|trusted\.|security\.|system\.posix_acl_(?:access|default)$)/;

function xattrsOf({ member, children, opaque }: File): Record<string, string> {
  const found: Record<string, string> = {};
  for (const { name, value } of member?.xattrs ?? [])
    if (KEPT.test(name)) found[name] = Buffer.from(value).toString('hex');
  const marked = [...(children?.values() ?? [])].some(({ whiteout }) => whiteout);
  if (opaque) found['trusted.overlay.opaque'] = Buffer.from('y').toString('hex');
  if (marked) found['trusted.overlay.origin'] = '';
  return Object.fromEntries(Object.entries(found).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function hashOf({ content, sparse, size }: Member): string {
  const whole = Buffer.alloc(size);
  let from = 0;
  for (const { offset, length } of sparse ?? [{ offset: 0, length: size }]) {
    whole.set(content.subarray(from, from + length), offset);
    from += length;
  }
  return createHash('sha256').update(whole).digest('hex');
}

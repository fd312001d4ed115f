import { createHash } from 'node:crypto';
import {
  makeDevice,
  Node,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
} from '../erofs/node.ts';
import type { Extent } from '../erofs/node.ts';
import { writeIndex } from '../erofs/write.ts';
import { OPAQUE_WHITEOUT, WHITEOUT_PREFIX } from '../oci/whiteout.ts';
import { tarData, tarStream } from '../union/tar-data.ts';
import type { UnionLayer } from '../union/union.ts';
import type { Member, Tree } from './tree.ts';

/**
 * A layer in memory, made without the code that unpacks layers, so that a union can be tested by
 * itself. Only for layers whose members come in order: parents first, and no name twice.
 */
export function packLayer(tree: Tree): PackedLayer {
  const packer = new Packer();
  for (const member of tree) packer.add(member);
  return packer.layer();
}

export interface PackedLayer extends UnionLayer {
  readonly index: Uint8Array;
  /** What the index calls its one device, and what that holds. */
  readonly tag: string;
  readonly device: Buffer;
}

const TYPES: Readonly<Record<Exclude<Member['type'], 'link'>, number>> = {
  file: S_IFREG,
  directory: S_IFDIR,
  symlink: S_IFLNK,
  char: S_IFCHR,
  block: S_IFBLK,
  fifo: S_IFIFO,
};
const BLOCK = 512;
const YES = Buffer.from('y');

class Packer {
  readonly #root = new Node(S_IFDIR | 0o755);
  /** Contents at whole blocks, as in an archive without headers. */
  readonly #device: Buffer[] = [];
  #size = 0;

  add(member: Member): void {
    const names = member.name.split('/').filter((name) => name !== '' && name !== '.');
    const name = names.pop();
    const parent = this.#find(names);
    if (name === undefined) describe(parent, member);
    else if (name === OPAQUE_WHITEOUT) markOpaque(parent);
    else if (name.startsWith(WHITEOUT_PREFIX))
      parent.children!.set(name.slice(WHITEOUT_PREFIX.length), new Node(S_IFCHR));
    else parent.children!.set(name, this.#node(member));
  }

  layer(): PackedLayer {
    const chunks: Uint8Array[] = [];
    const device = Buffer.concat(this.#device);
    const tag = createHash('sha256').update(device).digest('hex');
    writeIndex(this.#root, (chunk) => chunks.push(Uint8Array.from(chunk)), {
      devices: [{ tag, size: device.length }],
      read: (_, physical, into) => device.copy(into, 0, physical),
    });
    const stream = tarStream('a packed layer', async function* () {
      yield device;
    });
    return { index: Buffer.concat(chunks), data: tarData(stream), tag, device };
  }

  #find(names: readonly string[]): Node {
    let node = this.#root;
    for (const name of names) node = node.children!.get(name)!;
    return node;
  }

  #node(member: Member): Node {
    if (member.type === 'link') {
      return this.#find(member.linkName.split('/'));
    }
    const node = new Node(TYPES[member.type]);
    describe(node, member);
    if (member.type === 'file') node.extents = this.#store(member);
    return node;
  }

  #store({ content, sparse, size }: Member): Extent[] {
    const start = this.#size;
    const blocks = Math.ceil(content.length / BLOCK) * BLOCK;
    this.#device.push(Buffer.concat([content], blocks));
    this.#size += blocks;
    const extents: Extent[] = [];
    let physical = start;
    for (const { offset, length } of sparse ?? [{ offset: 0, length: size }]) {
      if (length > 0) extents.push({ logical: offset, device: 1, physical, length });
      physical += length;
    }
    return extents;
  }
}

function describe(node: Node, member: Member): void {
  node.mode = (node.mode & S_IFMT) | member.mode;
  node.uid = member.uid;
  node.gid = member.gid;
  node.mtime = member.mtime;
  node.mtimeNs = member.mtimeNs;
  node.xattrs = [...(member.xattrs ?? [])];
  node.size = member.type === 'symlink' ? member.linkName.length : member.size;
  if (member.type === 'symlink') node.target = member.linkName;
  if (member.type === 'char' || member.type === 'block')
    node.rdev = makeDevice(member.deviceMajor, member.deviceMinor);
}

function markOpaque(node: Node): void {
  node.xattrs = [...(node.xattrs ?? []), { name: 'trusted.overlay.opaque', value: YES }];
}

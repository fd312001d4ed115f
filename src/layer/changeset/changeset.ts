import type { IndexDevice, Node } from '../../erofs/node.ts';
import { MicaError } from '../../errors.ts';
import type { Entry, EntryHandler } from '../../tar/entry.ts';
import type { LayerStats } from '../unpack-job.ts';
import type { Lower } from './lower.ts';
import { directoryMarks, type Mark, markOf, OVERLAY_XATTRS } from './marks.ts';
import { cleanName, MAX_NAME, shown } from './member-name.ts';
import { nodeOf } from './member.ts';
import type { LayerSink } from './sink.ts';
import { statsOf } from './stats.ts';
import { describe, type Directory, isDirectoryNode, isWhiteoutNode, LayerTree } from './tree.ts';

const MAX_TEXT = 256 * 2 ** 20;
const PIECE_BYTES = 32;

export interface ChangesetOptions {
  /** The layers below; `undefined` while they are not known. */
  readonly lower: Lower | undefined;
  /** Whether a root that no entry describes is the lower layers' even if nothing else depends on them. */
  readonly inheritRoot?: boolean;
  readonly limits?: ChangesetLimits;
}

/** What one layer may take of this process' memory. */
export interface ChangesetLimits {
  /** Files and directories, those that are replaced later included. Default 2,000,000. */
  readonly nodes?: number;
  /** Bytes of names, targets and attributes, and 32 for each piece of a sparse file. Default 256 MiB. */
  readonly text?: number;
}

/**
 * Makes the tree that a layer's archive means, and tells a sink how to make it on a disk.
 * What it does where engines disagree is in docs/layer-format.md.
 */
export class Changeset implements EntryHandler {
  readonly #tree: LayerTree;
  readonly #options: ChangesetOptions;
  readonly #devices: IndexDevice[] = [];
  #receiving = false;
  #text = 0;

  constructor(sink: LayerSink, options: ChangesetOptions) {
    this.#options = options;
    this.#tree = new LayerTree(sink, options.lower, options.limits?.nodes);
  }

  get root(): Node {
    return this.#tree.root.node;
  }

  /** Whether the tree depends on the layers below. Once true, it stays so. */
  get dependent(): boolean {
    return this.#tree.dependent;
  }

  /** Whether it depends on layers that are not known: then nothing was done with the rest of the archive. */
  get incomplete(): boolean {
    return this.dependent && this.#options.lower === undefined;
  }

  get stats(): LayerStats {
    return statsOf(this.root, this.#tree.opaque);
  }

  /** Tars of lower layers that files have their content in: device 2 of the index and up. */
  get lowerDevices(): readonly IndexDevice[] {
    return this.#devices;
  }

  entry(entry: Entry): void {
    this.#receiving = false;
    // What comes next would be judged by a guess.
    if (this.incomplete) return;
    // Members of Windows' layers say what they are; the first one is a directory at the root.
    if (entry.windows?.has('MSWINDOWS.fileattr')) this.#tree.ignoresCase = true;
    const path = cleanName(entry.name);
    this.#weigh(entry);
    if (path === '') this.#describeRoot(entry);
    else if (!isAufs(path)) this.#member(entry, path);
  }

  data(chunk: Uint8Array): void {
    if (this.#receiving) this.#tree.sink.data(chunk);
  }

  end(): void {
    if (this.#receiving) this.#tree.sink.end();
    this.#receiving = false;
  }

  /** The archive is over: the tree is complete, the sink finished, and overlay's marks are in place. */
  finish(): void {
    if (this.incomplete) return;
    const { root, opaque } = this.#tree;
    this.#tree.remove(root, AUFS_LINKS);
    if (opaque.has(root.node)) this.#spellOutOpaqueRoot();
    const inherits = this.dependent || this.#options.inheritRoot === true;
    const lowerRoot = inherits && root.node.implicit ? this.#options.lower?.find([]) : undefined;
    if (lowerRoot)
      describe(
        root.node,
        lowerRoot.copy(() => 0),
      );
    this.#tree.sink.finish(root.node, opaque);
    markDirectories(root.node, opaque);
  }

  #member(entry: Entry, path: string): void {
    const slash = path.lastIndexOf('/');
    const name = path.slice(slash + 1);
    const mark = markOf(name, path);
    // Only the name that is deleted must exist somewhere, not the one with `.wh.` before it.
    const { length } = mark.kind === 'whiteout' ? mark.name : name;
    if (length > MAX_NAME)
      throw new MicaError(
        'INVALID_ARGUMENT',
        `${shown(path)}: a name has at most ${MAX_NAME} bytes, not ${length}`,
      );
    const parentPath = slash < 0 ? '' : path.slice(0, slash);
    if (mark.kind !== 'none' && !isLinkStore(path)) return this.#mark(mark, parentPath);
    const parent = this.#tree.directory(parentPath);
    const spelled = this.#tree.spelled(parent, name);
    if (entry.type === 'link') this.#link(entry, parent, spelled);
    else this.#put(entry, parent, spelled);
  }

  /** A deletion in a directory that does not exist deletes nothing, and makes no directory. */
  #mark(mark: Mark, parentPath: string): void {
    const parent = this.#tree.existing(parentPath);
    if (parent === undefined) return;
    if (mark.kind === 'whiteout')
      this.#tree.whiteout(parent, this.#tree.spelled(parent, mark.name));
    else if (mark.kind === 'opaque') this.#tree.hideLower(parent);
  }

  #put(entry: Entry, parent: Directory, name: string): void {
    const node = nodeOf(entry);
    const isNew = this.#tree.put(parent, name, node);
    if (entry.type === 'file') {
      this.#tree.sink.file(parent.path, name, node);
      this.#receiving = true;
    } else if (entry.type !== 'directory') this.#tree.sink.special(parent.path, name, node);
    else if (isNew) this.#tree.sink.directory(parent.path, name, node);
  }

  /** A hard link: another name of what is there already. The entry's own attributes mean nothing. */
  #link(entry: Entry, parent: Directory, name: string): void {
    const place = parent.path === '' ? name : `${parent.path}/${name}`;
    const to = cleanName(entry.linkName);
    if (to === '') throw refusedLink(place, to, 'is a directory');
    const slash = to.lastIndexOf('/');
    const toParent = this.#tree.directory(slash < 0 ? '' : to.slice(0, slash));
    const toName = this.#tree.spelled(toParent, to.slice(slash + 1));
    const node = this.#linked(toParent, toName, { place, to });
    // Its own name again, or nobody knows yet: the layer will be read once more.
    if (node === undefined || parent.node.children!.get(name) === node) return;
    if (`${toParent.path}/`.startsWith(`${place}/`))
      throw refusedLink(place, to, 'lies below the link itself');
    this.#tree.put(parent, name, node);
    this.#tree.sink.link({ parent: toParent.path, name: toName }, parent.path, name, node);
  }

  #linked(parent: Directory, name: string, link: { place: string; to: string }): Node | undefined {
    const own = parent.node.children!.get(name);
    if (own !== undefined && isDirectoryNode(own))
      throw refusedLink(link.place, link.to, 'is a directory');
    if (own !== undefined && !isWhiteoutNode(own)) return own;
    const lower = own === undefined ? this.#tree.below(parent, name) : undefined;
    if (lower === 'unknown') return undefined;
    if (lower === undefined)
      throw refusedLink(link.place, link.to, 'exists neither in the layer so far nor below it');
    if (lower.kind === 'directory') throw refusedLink(link.place, link.to, 'is a directory');
    const node = lower.copy((device) => this.#deviceOf(device));
    this.#tree.put(parent, name, node);
    this.#tree.sink.copyUp(parent.path, name, node, lower.layer);
    return node;
  }

  #deviceOf(device: IndexDevice): number {
    const known = this.#devices.findIndex(({ tag }) => tag === device.tag);
    return 2 + (known >= 0 ? known : this.#devices.push(device) - 1);
  }

  #describeRoot(entry: Entry): void {
    if (entry.type !== 'directory')
      throw new MicaError('INVALID_ARGUMENT', `the root of a layer is a ${entry.type}`);
    describe(this.root, nodeOf(entry));
  }

  /**
   * Overlayfs does not look for an opaque mark on a layer's root. What is below is therefore hidden
   * name by name, so that the tree depends on it.
   */
  #spellOutOpaqueRoot(): void {
    const { root } = this.#tree;
    this.#tree.dependent = true;
    for (const name of this.#options.lower?.find([])?.names() ?? [])
      this.#tree.whiteout(root, name);
  }

  #weigh({ name, linkName, xattrs, sparse }: Entry): void {
    this.#text += name.length + linkName.length + PIECE_BYTES * (sparse?.length ?? 0);
    for (const xattr of xattrs ?? []) this.#text += xattr.name.length + xattr.value.length;
    const limit = this.#options.limits?.text ?? MAX_TEXT;
    if (this.#text > limit)
      throw new MicaError(
        'RESOURCE_EXHAUSTED',
        `a layer with more than ${limit} bytes of names, attributes and maps of sparse files`,
      );
  }
}

/**
 * Whether the path is or lies in AUFS' own bookkeeping.
 * @throws INVALID_ARGUMENT when it lies below a whiteout
 */
function isAufs(path: string): boolean {
  if (!path.includes('.wh.') || isLinkStore(path)) return false;
  const names = path.split('/');
  if (names.some((name) => name.startsWith('.wh.') && markOf(name, path).kind === 'aufs'))
    return true;
  if (names.slice(0, -1).some((name) => name.startsWith('.wh.')))
    throw new MicaError('INVALID_ARGUMENT', `${shown(path)} lies below a whiteout`);
  return false;
}

/**
 * The one directory of AUFS that matters while the archive is read: what hard links lead to. All
 * engines resolve them, so it exists until the end.
 */
const AUFS_LINKS = '.wh..wh.plnk';
const isLinkStore = (path: string): boolean =>
  path === AUFS_LINKS || path.startsWith(`${AUFS_LINKS}/`);

const refusedLink = (place: string, to: string, why: string): MicaError =>
  new MicaError('INVALID_ARGUMENT', `hard link ${shown(place)}: ${shown(to)} ${why}`);

/** Puts overlay's attributes where an overlay over the index, or its reader, looks for them. */
function markDirectories(node: Node, opaque: ReadonlySet<Node>): void {
  let whiteouts = false;
  for (const child of node.children!.values()) {
    if (isDirectoryNode(child)) markDirectories(child, opaque);
    else whiteouts ||= isWhiteoutNode(child);
  }
  const marks = { opaque: opaque.has(node), whiteouts };
  if (!marks.opaque && !whiteouts) return;
  // Only the kernel of root mounts indexes: of the other family an overlay of root's would show what it must hide.
  const added = directoryMarks(OVERLAY_XATTRS[0], marks);
  node.xattrs = [...(node.xattrs ?? []), ...added];
}

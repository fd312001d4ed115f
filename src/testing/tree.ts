import { OPAQUE_WHITEOUT, WHITEOUT_PREFIX } from '../oci/whiteout.ts';
import { TarWriter, type NewEntry } from '../tar/write.ts';

/**
 * Fixtures are programs: a layer is written down as what it contains.
 *
 *     const base = tree({
 *       'etc/passwd': file('root:x:0:0', { mode: 0o644, mtime: 1_600_000_000 }),
 *       'bin/busybox': file(program, { mode: 0o4755, xattrs: { 'user.note': 'x' } }),
 *       'bin/sh': link('busybox'),
 *       'bin/ash': hardlink('bin/busybox'),
 *       'dev/null': char(1, 3),
 *     });
 *     const patch = tree({ 'etc/passwd': whiteout(), 'var/cache': dir({ opaque: true }) });
 *
 * Parents that are not mentioned are added (0755, root) unless `parents: 'omit'`, so that a layer
 * depends on its parents only where a test wants it to. Members keep the order of the keys; use
 * pairs for duplicate names, for names that are not UTF-8 (bytes), or that look like array indexes
 * (which JavaScript sorts first).
 */
export function tree(items: Items, options: TreeOptions = {}): Tree {
  const pairs = Symbol.iterator in items ? [...items] : Object.entries(items);
  const members: Member[] = [];
  const known = new Set(['', '.']);
  for (const [key, item] of pairs) {
    const name = byteString(key);
    if (options.parents !== 'omit')
      for (const parent of parentsOf(name, known)) members.push(...dir()(parent));
    known.add(clean(name));
    members.push(...item(name));
  }
  return members;
}

/** The layer's archive. */
export function tarOf(members: Tree): Buffer {
  const chunks: Uint8Array[] = [];
  const writer = new TarWriter((chunk) => chunks.push(chunk));
  for (const one of members) {
    writer.entry(one);
    writer.data(one.content);
  }
  writer.finish();
  return Buffer.concat(chunks);
}

/** The members of a layer's archive, in order. */
export type Tree = readonly Member[];

/** An entry as one writes it. Names are byte strings. */
export type Member = NewEntry & {
  /** The stored data: of a sparse file, its runs joined. */
  readonly content: Uint8Array;
};

/** What stands at a path: one member of the archive, or several. */
export type Item = (name: string) => Member[];

export type Items =
  | Readonly<Record<string, Item>>
  | Iterable<readonly [path: string | Uint8Array, item: Item]>;

export interface TreeOptions {
  /** Whether directories above the items are members, too. Default `add`. */
  readonly parents?: 'add' | 'omit';
}

export interface Attributes {
  /** Permission bits. Default 0644, directories 0755, links 0777. */
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  /** Seconds since 1970. Default {@link MTIME}. */
  readonly mtime?: number;
  readonly mtimeNs?: number;
  readonly xattrs?: Readonly<Record<string, string | Uint8Array>>;
}

/** When everything was modified that does not say otherwise: 2020-09-13T12:26:40Z. */
export const MTIME = 1_600_000_000;

export const file =
  (content: string | Uint8Array = '', attributes: Attributes = {}): Item =>
  (name) => {
    const bytes = typeof content === 'string' ? Buffer.from(content) : content;
    return [member('file', name, 0o644, attributes, { content: bytes, size: bytes.length })];
  };

/** A file of `size` bytes that is zero except at the given offsets. */
export const sparse =
  (size: number, runs: Readonly<Record<number, string>>, attributes: Attributes = {}): Item =>
  (name) => {
    const data = Object.entries(runs).map(([offset, text]) => ({
      offset: Number(offset),
      bytes: Buffer.from(text),
    }));
    const map = data.map(({ offset, bytes }) => ({ offset, length: bytes.length }));
    const content = Buffer.concat(data.map(({ bytes }) => bytes));
    return [member('file', name, 0o644, attributes, { content, size, sparse: map })];
  };

export const dir =
  ({ opaque, ...attributes }: Attributes & { readonly opaque?: boolean } = {}): Item =>
  (name) => {
    const self = member('directory', name === '' ? './' : name, 0o755, attributes, {});
    const inside = name === '' ? '' : `${name.replace(/\/+$/, '')}/`;
    return opaque ? [self, ...file()(inside + OPAQUE_WHITEOUT)] : [self];
  };

/** A symbolic link. */
export const link =
  (target: string | Uint8Array, attributes: Attributes = {}): Item =>
  (name) => [member('symlink', name, 0o777, attributes, { linkName: byteString(target) })];

/** Another name of `to`, a path from the root of the layer. */
export const hardlink =
  (to: string | Uint8Array, attributes: Attributes = {}): Item =>
  (name) => [member('link', name, 0o644, attributes, { linkName: byteString(to) })];

export const char =
  (deviceMajor: number, deviceMinor: number, attributes: Attributes = {}): Item =>
  (name) => [member('char', name, 0o644, attributes, { deviceMajor, deviceMinor })];

export const block =
  (deviceMajor: number, deviceMinor: number, attributes: Attributes = {}): Item =>
  (name) => [member('block', name, 0o644, attributes, { deviceMajor, deviceMinor })];

export const fifo =
  (attributes: Attributes = {}): Item =>
  (name) => [member('fifo', name, 0o644, attributes, {})];

/** Deletes what lower layers have at this path. */
export const whiteout = (): Item => (name) => {
  const slash = name.lastIndexOf('/') + 1;
  return file()(name.slice(0, slash) + WHITEOUT_PREFIX + name.slice(slash));
};

function member(
  type: Member['type'],
  name: string,
  mode: number,
  attributes: Attributes,
  rest: Partial<Member>,
): Member {
  const { xattrs, ...given } = attributes;
  return {
    type,
    name,
    linkName: '',
    mode,
    uid: 0,
    gid: 0,
    size: 0,
    mtime: MTIME,
    mtimeNs: 0,
    deviceMajor: 0,
    deviceMinor: 0,
    sparse: undefined,
    content: new Uint8Array(),
    ...rest,
    ...given,
    xattrs:
      xattrs &&
      Object.entries(xattrs).map(([key, value]) => ({
        name: byteString(key),
        value: typeof value === 'string' ? Buffer.from(value) : value,
      })),
  };
}

/** Names are one UTF-16 unit per byte everywhere below the public edge. */
const byteString = (text: string | Uint8Array): string =>
  (typeof text === 'string'
    ? Buffer.from(text)
    : Buffer.from(text.buffer, text.byteOffset, text.length)
  ).toString('latin1');

const clean = (name: string): string => name.replace(/^(?:\.?\/)+/, '').replace(/\/+$/, '');

/** Directories above `name` that nothing has mentioned yet, outermost first. */
function* parentsOf(name: string, known: Set<string>): Generator<string> {
  const parts = clean(name).split('/');
  for (let depth = 1; depth < parts.length; depth++) {
    const parent = parts.slice(0, depth).join('/');
    if (known.has(parent)) continue;
    known.add(parent);
    yield parent;
  }
}

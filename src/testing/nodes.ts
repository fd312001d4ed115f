import * as fc from 'fast-check';
import type { Extent, Xattr } from '../erofs/node.ts';
import {
  makeDevice,
  Node,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFREG,
} from '../erofs/node.ts';
import type { DeviceReader } from './listing.ts';

/** A device with content that differs everywhere. */
export const DEVICE: Buffer = Buffer.alloc(1 << 20);
for (let i = 0; i < DEVICE.length; i += 4)
  DEVICE.writeUInt32LE(Math.imul(i + 1, 2654435761) >>> 0, i);

export const readDevice: DeviceReader = (_device, physical, length) =>
  DEVICE.subarray(physical, physical + length);

/** A tree as a value, so that it can be planted more than once, and in any order. */
export interface Plan {
  readonly name: string;
  readonly attributes: Attributes;
  readonly body:
    | { readonly type: 'directory'; readonly children: readonly Plan[] }
    | { readonly type: 'file'; readonly size: number; readonly extents: readonly Extent[] }
    | { readonly type: 'link'; readonly target: string }
    | { readonly type: 'device'; readonly mode: number; readonly rdev: number };
}

interface Attributes {
  readonly permissions: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: number;
  readonly mtimeNs: number;
  readonly xattrs: readonly Xattr[];
}

/** Makes the nodes of a plan; with `reverse`, in the other order. */
export function plant({ attributes, body }: Plan, reverse = false): Node {
  const { permissions, xattrs, ...rest } = attributes;
  const node = new Node(modeOf(body) | permissions);
  Object.assign(node, rest);
  // The kernel knows user xattrs of files and directories only.
  const user = body.type === 'file' || body.type === 'directory';
  const kept = xattrs.filter(({ name: key }) => user || !key.startsWith('user.'));
  if (kept.length > 0) node.xattrs = reverse ? kept.toReversed() : kept;
  if (body.type === 'link') node.target = body.target;
  if (body.type === 'device') node.rdev = body.rdev;
  if (body.type === 'file') {
    node.size = body.size;
    if (body.extents.length > 0) node.extents = [...body.extents];
  }
  if (body.type !== 'directory') return node;
  const children = reverse ? body.children.toReversed() : body.children;
  for (const child of children) node.children!.set(child.name, plant(child, reverse));
  linkSome(node);
  return node;
}

/** A name that ends in `=` is a hard link to the name without, where that is no directory. */
function linkSome({ children }: Node): void {
  for (const name of children!.keys()) {
    const target = children!.get(name.slice(0, -1));
    if (name.endsWith('=') && target && !target.children && !children!.get(name)!.children)
      children!.set(name, target);
  }
}

function modeOf(body: Plan['body']): number {
  if (body.type === 'directory') return S_IFDIR;
  if (body.type === 'file') return S_IFREG;
  return body.type === 'link' ? S_IFLNK : body.mode;
}

const byteString = (min: number, max: number): fc.Arbitrary<string> =>
  fc
    .array(fc.integer({ min: 1, max: 255 }), { minLength: min, maxLength: max })
    .map((codes) => String.fromCharCode(...codes));

const name: fc.Arbitrary<string> = fc
  .oneof(
    { weight: 8, arbitrary: fc.stringMatching(/^[-!.A-Za-z0-9]{1,12}=?$/) },
    { weight: 2, arbitrary: byteString(1, 20) },
    {
      weight: 1,
      arbitrary: fc.integer({ min: 200, max: 255 }).map((length) => 'n'.repeat(length)),
    },
  )
  .filter((text) => text !== '.' && text !== '..' && !text.includes('/'));

/** `cap_net_raw=ep`: the kernel gives out valid values only. */
const CAPABILITY: Xattr = {
  name: 'security.capability',
  value: Buffer.from('0100000200200000000000000000000000000000', 'hex'),
};

const userXattr: fc.Arbitrary<Xattr> = fc.record({
  name: fc.oneof(
    fc.constantFrom('user.same', 'trusted.overlay.opaque'),
    fc.stringMatching(/^[a-z]{1,10}$/).map((rest) => `user.${rest}`),
  ),
  value: fc.oneof(
    fc.constant(Buffer.from('the same value')),
    fc.uint8Array({ maxLength: 40 }),
    fc.integer({ min: 100, max: 900 }).map((length) => Buffer.alloc(length, 7)),
  ),
});

const xattr = fc.oneof({ weight: 4, arbitrary: userXattr }, fc.constant(CAPABILITY));

const attributes: fc.Arbitrary<Attributes> = fc.record({
  permissions: fc.integer({ min: 0, max: 0o7777 }),
  uid: fc.constantFrom(0, 1000, 65535, 65536, 4294967294),
  gid: fc.constantFrom(0, 50, 70000),
  mtime: fc.oneof(fc.integer({ min: -4e9, max: 8e9 }), fc.constantFrom(0, -1, 2 ** 31, 2 ** 33)),
  mtimeNs: fc.integer({ min: 0, max: 999_999_999 }),
  xattrs: fc.oneof(
    { weight: 3, arbitrary: fc.constant([]) },
    {
      weight: 1,
      arbitrary: fc.uniqueArray(xattr, { selector: (x) => x.name, maxLength: 4 }),
    },
  ),
});

const BLOCKS = DEVICE.length / 512;

const wholeFile: fc.Arbitrary<Plan['body']> = fc
  .tuple(fc.integer({ min: 0, max: 20_000 }), fc.integer({ min: 0, max: BLOCKS - 41 }))
  .map(([size, block]) => ({
    type: 'file' as const,
    size,
    extents: size === 0 ? [] : [{ logical: 0, device: 1, physical: block * 512, length: size }],
  }));

/** Runs of data between holes, at multiples of `unit` bytes. */
const sparseFile = (unit: number): fc.Arbitrary<Plan['body']> =>
  fc
    .tuple(
      fc.array(
        fc.tuple(
          fc.integer({ min: 0, max: 5 }),
          fc.integer({ min: 1, max: 5 }),
          fc.integer({ min: 0, max: Math.floor(DEVICE.length / unit) - 6 }),
        ),
        { maxLength: 5 },
      ),
      fc.integer({ min: 0, max: 3000 }),
    )
    .map(([runs, rest]) => {
      let logical = 0;
      const extents: Extent[] = [];
      for (const [hole, units, place] of runs) {
        logical += hole * unit;
        extents.push({ logical, device: 1, physical: place * unit, length: units * unit });
        logical += units * unit;
      }
      return { type: 'file' as const, size: logical + rest, extents };
    });

const device: fc.Arbitrary<Plan['body']> = fc.constantFrom(
  { type: 'device', mode: S_IFCHR, rdev: 0 },
  { type: 'device', mode: S_IFCHR, rdev: makeDevice(5, 300) },
  { type: 'device', mode: S_IFBLK, rdev: makeDevice(259, 1_000_000) },
  { type: 'device', mode: S_IFIFO, rdev: 0 },
);

export interface PlanOptions {
  /** Whether files may have data that do not lie at multiples of 512 bytes. Default no. */
  readonly unaligned?: boolean;
}

/** A tree with everything that an index can hold. */
export function anyPlan(options: PlanOptions = {}): fc.Arbitrary<Plan> {
  const { tree } = fc.letrec<{ tree: Plan; body: Plan['body'] }>((tie) => ({
    tree: fc.record({ name, attributes, body: tie('body') }),
    body: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      wholeFile,
      sparseFile(512),
      sparseFile(options.unaligned ? 100 : 4096),
      fc
        .oneof(byteString(1, 30), byteString(1000, 1100))
        .map((target) => ({ type: 'link' as const, target })),
      device,
      fc
        .uniqueArray(tie('tree'), { selector: (child) => child.name, maxLength: 30 })
        .map((children) => ({ type: 'directory' as const, children })),
    ),
  }));
  return fc.record({
    name: fc.constant(''),
    attributes,
    body: fc
      .uniqueArray(tree, { selector: (child) => child.name, maxLength: 40 })
      .map((children) => ({ type: 'directory' as const, children })),
  });
}

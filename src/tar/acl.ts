/** Values of the kernel's `struct posix_acl_xattr_entry`; `named` where the entry is for one id. */
const TAGS: Readonly<Record<string, readonly [own: number, named: number | undefined]>> = {
  u: [0x01, 0x02],
  g: [0x04, 0x08],
  m: [0x10, undefined],
  o: [0x20, undefined],
};
const [OWNER, GROUP, MASK, OTHER] = [0x01, 0x04, 0x10, 0x20];
const NO_ID = 0xffff_ffff;
const VERSION = 2;

interface AclEntry {
  readonly tag: number;
  readonly permissions: number;
  readonly id: number;
}

/**
 * An access control list as GNU tar, star and bsdtar write it (`user::rw-,user:alice:r--:1000,…`)
 * in the form that the kernel keeps as `system.posix_acl_*`.
 *
 * `undefined` where there is none to keep: for a list that the kernel would refuse, or that names
 * a user or group without its number (names belong to the machine that wrote the archive).
 */
export function parseAcl(text: string): Buffer | undefined {
  const entries: AclEntry[] = [];
  for (const line of text.split(/[,\n]/)) {
    const trimmed = line.split('#', 1)[0]!.trim();
    if (trimmed === '') continue;
    const entry = parseEntry(trimmed);
    if (entry === undefined) return undefined;
    entries.push(entry);
  }
  entries.sort((a, b) => a.tag - b.tag || a.id - b.id);
  return isValid(entries) ? encode(entries) : undefined;
}

/** Whether it says no more than permission bits do; the kernel then keeps it as these. */
export const isMinimal = (acl: Buffer): boolean => acl.length === 4 + 3 * 8;

/**
 * The permission bits of a file with this list, as the kernel has them: the mask is the group's.
 * bsdtar writes the group's own instead.
 */
export function permissionsOf(acl: Buffer): number {
  let bits = 0;
  for (let at = 4; at < acl.length; at += 8) {
    const permissions = acl.readUInt16LE(at + 2);
    const tag = acl.readUInt16LE(at);
    if (tag === OWNER) bits |= permissions << 6;
    else if (tag === OTHER) bits |= permissions;
    // Sorted: a mask comes after the group, and takes its place.
    else if (tag === GROUP || tag === MASK) bits = (bits & ~0o070) | (permissions << 3);
  }
  return bits;
}

function parseEntry(line: string): AclEntry | undefined {
  const parts = /^(u|user|g|group|m|mask|o|other):([^:]*):([r-][w-][x-])(?::(\d+))?$/.exec(line);
  if (parts === null) return undefined;
  const [, kind, name = '', letters = '', number = name] = parts;
  const [own, named] = TAGS[kind![0]!]!;
  const [r, w, x] = letters;
  const permissions = (r === 'r' ? 4 : 0) + (w === 'w' ? 2 : 0) + (x === 'x' ? 1 : 0);
  if (name === '' && parts[4] === undefined) return { tag: own, permissions, id: NO_ID };
  if (named === undefined || !/^\d{1,10}$/.test(number) || Number(number) >= NO_ID)
    return undefined;
  return { tag: named, permissions, id: Number(number) };
}

/** As posix_acl_valid() of the kernel has it. @param entries - sorted */
function isValid(entries: readonly AclEntry[]): boolean {
  const count = (tag: number): number => entries.filter((entry) => entry.tag === tag).length;
  if (count(OWNER) !== 1 || count(GROUP) !== 1 || count(OTHER) !== 1 || count(MASK) > 1)
    return false;
  const isTwice = entries.some(
    ({ tag, id }, at) => tag === entries[at - 1]?.tag && id === entries[at - 1]?.id,
  );
  const isExtended = entries.length - count(MASK) > 3;
  return !isTwice && (!isExtended || count(MASK) === 1);
}

function encode(entries: readonly AclEntry[]): Buffer {
  const bytes = Buffer.alloc(4 + 8 * entries.length);
  bytes.writeUInt32LE(VERSION, 0);
  for (const [index, { tag, permissions, id }] of entries.entries()) {
    bytes.writeUInt16LE(tag, 4 + 8 * index);
    bytes.writeUInt16LE(permissions, 6 + 8 * index);
    bytes.writeUInt32LE(id, 8 + 8 * index);
  }
  return bytes;
}

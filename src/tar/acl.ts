const TAGS: Readonly<Record<string, readonly [own: number, named: number]>> = {
  u: [0x01, 0x02],
  g: [0x04, 0x08],
  m: [0x10, 0x10],
  o: [0x20, 0x20],
};
const NO_ID = 0xffff_ffff;
const VERSION = 2;

/**
 * An access control list as star and GNU tar write it (`user::rw-,user:alice:r--:1000,…`) in the
 * form that the kernel keeps as `system.posix_acl_*`.
 *
 * `undefined` when an entry names its user or group without a number: the names belong to the
 * machine that wrote the archive.
 * @see https://www.kernel.org/doc/html/latest/filesystems/ext4/attributes.html (POSIX ACLs)
 */
export function parseAcl(text: string): Buffer | undefined {
  const entries = text
    .split(/[,\n]/)
    .map((line) => line.replace(/#.*$/, '').trim())
    .filter((line) => line !== '')
    .map(parseAclEntry);
  if (entries.length === 0 || entries.includes(undefined)) return undefined;
  const bytes = Buffer.alloc(4 + 8 * entries.length);
  bytes.writeUInt32LE(VERSION, 0);
  const sorted = entries
    .flatMap((entry) => entry ?? [])
    .toSorted((a, b) => a.tag - b.tag || a.id - b.id);
  for (const [index, { tag, permissions, id }] of sorted.entries()) {
    bytes.writeUInt16LE(tag, 4 + 8 * index);
    bytes.writeUInt16LE(permissions, 6 + 8 * index);
    bytes.writeUInt32LE(id, 8 + 8 * index);
  }
  return bytes;
}

interface AclEntry {
  readonly tag: number;
  readonly permissions: number;
  readonly id: number;
}

function parseAclEntry(line: string): AclEntry | undefined {
  const parts = /^(u|user|g|group|m|mask|o|other):([^:]*):([r-][w-][x-])(?::(\d+))?$/.exec(line);
  if (parts === null) return undefined;
  const [, kind, name = '', permissions = '', number = name] = parts;
  const [own, named] = TAGS[kind![0]!]!;
  const bits = permissions.split('').reduce((sum, letter) => sum * 2 + Number(letter !== '-'), 0);
  if (name === '') return { tag: own, permissions: bits, id: NO_ID };
  if (!/^\d{1,10}$/.test(number) || Number(number) >= NO_ID) return undefined;
  return { tag: named, permissions: bits, id: Number(number) };
}

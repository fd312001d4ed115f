/** Options that belong to a mount, not to its file system: bits of the new API, and of the old. */
const ATTRIBUTES: Readonly<Record<string, readonly [attribute: number, flag: number]>> = {
  ro: [0x1, 0x1],
  nosuid: [0x2, 0x2],
  nodev: [0x4, 0x4],
  noexec: [0x8, 0x8],
  noatime: [0x10, 0x400],
  strictatime: [0x20, 0x1000000],
  nodiratime: [0x80, 0x800],
};

/** What is so anyway, and how a bind is spelled in fstab. */
const IDLE: ReadonlySet<string> = new Set([
  'rw',
  'suid',
  'dev',
  'exec',
  'atime',
  'relatime',
  'defaults',
  'bind',
  'rbind',
]);

/** Parts the options of the mount from those of the file system. */
export function attributesOf(options: readonly string[]): {
  /** `MOUNT_ATTR_…` */
  readonly attributes: number;
  /** `MS_…` */
  readonly flags: number;
  readonly rest: string[];
} {
  let [attributes, flags] = [0, 0];
  const rest: string[] = [];
  for (const option of options) {
    const bits = ATTRIBUTES[option];
    if (bits !== undefined) {
      attributes |= bits[0];
      flags |= bits[1];
    } else if (!IDLE.has(option)) rest.push(option);
  }
  return { attributes, flags, rest };
}

/** `key=value` or `flag`, one option each. */
export const splitOptions = (
  options: readonly string[],
): (readonly [key: string, value: string | undefined])[] =>
  options.map((option) => {
    const at = option.indexOf('=');
    return at < 0 ? [option, undefined] : [option.slice(0, at), option.slice(at + 1)];
  });

import { addressOf, cstring, syscall } from '../binding.ts';
import { toBytes } from '../byte-string.ts';
import { kernelError } from '../errno.ts';
import { type Mount, parseLowerdir } from '../mount-data.ts';
import { attributesOf, splitOptions } from './options.ts';
import { ShortPaths } from './short-paths.ts';
import { NR } from '../syscalls.ts';

export const MS_REMOUNT = 0x20;
const MS_BIND = 0x1000;
const MS_REC = 0x4000;

/** mount(2) copies one page of options, the final NUL included. */
export const PAGE = 4096;

/**
 * Performs `mount` with mount(2), for kernels before 6.8.
 * @param refused - why the new API did not do it: thrown if the old one fails too
 */
export function mountByOldCall(mount: Mount, target: string, refused?: unknown): void {
  const { flags, rest } = attributesOf(mount.options);
  using short = new ShortPaths();
  const isBind = mount.type === 'bind' || mount.options.includes('rbind');
  const recursive = mount.options.includes('rbind') ? MS_REC : 0;
  const first = isBind ? MS_BIND | recursive : flags;
  const failed = (errno: number): unknown =>
    refused ?? kernelError(errno, `mount ${mount.type}`, toBytes(target));

  const result = mountCall(
    mount.source,
    target,
    mount.type,
    first,
    isBind ? '' : data(rest, short),
  );
  if (result < 0) throw failed(-result);
  if (!isBind || flags === 0) return;
  // A bind takes its attributes only when it is mounted again.
  const again = mountCall('none', target, 'none', MS_REMOUNT | MS_BIND | flags, '');
  if (again >= 0) return;
  syscall(NR.umount2, cstring(toBytes(target)), 2);
  throw failed(-again);
}

/** @param text - options, as a byte string shorter than a page @returns 0, or -errno */
export function mountCall(
  source: string,
  target: string,
  type: string,
  flags: number,
  text: string,
): number {
  const from = cstring(toBytes(source), 0);
  const to = cstring(toBytes(target), 1);
  const options = Buffer.alloc(PAGE);
  options.write(text, 'latin1');
  return syscall(NR.mount, from, to, cstring(type, 2), flags, addressOf(options));
}

/** The option string, with paths shortened when it would exceed the page. */
function data(options: readonly string[], short: ShortPaths): string {
  const full = render(options, (path) => path);
  if (full.length < PAGE) return full;
  const shortened = render(options, (path) => short.path(path, 0));
  if (shortened.length < PAGE) return shortened;
  throw kernelError(7, 'mount', `${options.length} options of ${shortened.length} bytes`);
}

function render(options: readonly string[], named: (path: string) => string): string {
  const escaped = (path: string): string =>
    toBytes(named(path)).replace(/[\\:,]/g, String.raw`\$&`);
  const parts = splitOptions(options).map(([key, value]) => {
    if (value === undefined) return key;
    if (key === 'lowerdir') return `lowerdir=${parseLowerdir(value).map(escaped).join(':')}`;
    return `${key}=${value.startsWith('/') ? escaped(value) : toBytes(value)}`;
  });
  return parts.join(',');
}

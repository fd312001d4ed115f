import { toBytes } from '../byte-string.ts';
import { kernelError } from '../errno.ts';
import type { Mount } from '../mount-data.ts';
import { mountCall, MS_REMOUNT, PAGE } from './old-call.ts';
import { attributesOf, splitOptions } from './options.ts';
import { ShortPaths } from './short-paths.ts';
import { unmount } from './unmount.ts';

/** As mountinfo names its mounts. Their source is the directory that is written into, or topmost. */
export const AUFS = 'aufs';

/**
 * Branches of one call at most. The page of options has room for more of them, but a call that
 * brings a hundred has been seen to hang.
 */
const BRANCHES = 32;

/**
 * Mounts branches by AUFS. In the data each is an option `br=<path>=<permission>`, the topmost
 * first; as many as one call takes are mounted, the others are appended by remounting.
 */
export function mountAufs(mount: Mount, target: string): void {
  using short = new ShortPaths();
  const { flags, rest } = attributesOf(mount.options);
  const calls = aufsCalls(rest, (path) => namedFor(path, short));
  for (const [n, data] of calls.entries()) {
    const result = mountCall(mount.source, target, AUFS, flags | (n > 0 ? MS_REMOUNT : 0), data);
    if (result >= 0) continue;
    if (n > 0) unmount(target, { detach: true });
    throw failure(-result, target, rest);
  }
}

/**
 * The options of each call, in bytes: the first mounts, the others remount. A remount changes the
 * flags of the mount, too: they are repeated.
 * @param named - a path as options can say it
 */
export function aufsCalls(
  options: readonly string[],
  named: (path: string) => string,
): readonly string[] {
  const all = splitOptions(options);
  const branches = all.flatMap(([key, value]) => (key === 'br' ? [branchOf(value!, named)] : []));
  const others = all.filter(([key]) => key !== 'br');
  const simple = others.map(([key, value]) => `,${value === undefined ? key : `${key}=${value}`}`);
  const calls: string[] = [];
  const first = new Packed(branches, PAGE - 1 - simple.join('').length);
  calls.push(first.take('br=', ':') + simple.join(''));
  const later = new Packed(branches.slice(first.taken), PAGE - 1);
  while (later.taken < branches.length - first.taken) calls.push(later.take('append=', ',append='));
  return calls;
}

/** Takes branches as long as there is room. */
class Packed {
  readonly #branches: readonly string[];
  readonly #room: number;
  taken = 0;

  constructor(branches: readonly string[], room: number) {
    this.#branches = branches;
    this.#room = room;
  }

  take(prefix: string, separator: string): string {
    let text = '';
    for (let count = 0; count < BRANCHES && this.taken < this.#branches.length; count++) {
      const more = (text === '' ? prefix : separator) + this.#branches[this.taken]!;
      if (text !== '' && text.length + more.length > this.#room) break;
      text += more;
      this.taken++;
    }
    return text;
  }
}

/** The permission follows the last `=`. */
function branchOf(value: string, named: (path: string) => string): string {
  const at = value.lastIndexOf('=');
  return `${named(value.slice(0, at))}${value.slice(at)}`;
}

/** AUFS knows no escapes: other names stand for paths with its separators in them, and for long ones. */
const namedFor = (path: string, short: ShortPaths): string =>
  toBytes(short.path(path, /[:,=+\\\s]/.test(path) ? 0 : 255));

function failure(errno: number, target: string, options: readonly string[]): unknown {
  const count = options.filter((option) => option.startsWith('br=')).length;
  return kernelError(
    errno,
    'mount aufs',
    `${toBytes(target)} with ${count} branches (the kernel's log says why; most kernels stack 127)`,
  );
}

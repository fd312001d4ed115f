import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { statSync } from 'node:fs';
import { dirname, relative } from 'node:path';
import { text } from 'node:stream/consumers';
import { MicaError } from '../../errors.ts';
import { AT_FDCWD, close, O_RDWR, openat } from '../at.ts';
import { errnoOf, fromNode } from '../errno.ts';
import { type Mount, parseLowerdir } from '../mount-data.ts';
import type { MountInfo } from '../mountinfo.ts';
import { attach, FsContext } from './context.ts';
import { sourceOf } from './source.ts';
import { attributesOf, splitOptions } from './options.ts';

/** As mountinfo names its mounts. Their source is the directory that is written into, or topmost. */
export const FUSE_OVERLAYFS = 'fuse.fuse-overlayfs';

/**
 * Mounts a union that fuse-overlayfs(1) serves: a process for each mount, which ends with it.
 *
 * The mount is made here, and handed to the program as a descriptor (`/dev/fd/3`, libfuse 3.3): so it
 * names the directory that it writes into, it is nowhere before it is served, and no path of it
 * passes through the program. If the process dies, what uses the mount gets ENOTCONN; what it was
 * written is in the directory.
 */
export async function mountFuseOverlayfs(mount: Mount, target: string): Promise<void> {
  const { attributes, rest } = attributesOf(mount.options);
  const device = openat(AT_FDCWD, '/dev/fuse', O_RDWR);
  try {
    using context = new FsContext('fuse');
    for (const [key, value] of connection(mount.source, device)) context.set(key, value);
    if (mount.options.includes('ro')) context.set('ro');
    const fd = context.mount(attributes);
    try {
      await serve(rest, device);
      attach(fd, target);
    } finally {
      close(fd);
    }
  } finally {
    close(device);
  }
}

/** Whether a mount answers: it does not if it is one of ours and its program has ended. */
export function isServed({ type, target }: Pick<MountInfo, 'type' | 'target'>): boolean {
  if (type !== FUSE_OVERLAYFS) return true;
  try {
    statSync(target);
    return true;
  } catch (error) {
    return errnoOf(error) !== 'ENOTCONN';
  }
}

/** @see fuse(4), Documentation/filesystems/fuse.rst */
const connection = (source: string, device: number): [key: string, value?: string][] => [
  ['source', sourceOf(source)],
  ['subtype', FUSE_OVERLAYFS.slice('fuse.'.length)],
  ['fd', String(device)],
  ['rootmode', '40000'],
  ['user_id', '0'],
  ['group_id', '0'],
  // The kernel checks permissions, as it does for any file system.
  ['default_permissions'],
  ['allow_other'],
];

/** Options whose values are directories. */
const DIRECTORIES: ReadonlySet<string> = new Set(['lowerdir', 'upperdir', 'workdir']);

/** Starts the program on an open connection; once this settles it answers, or it has ended. */
async function serve(options: readonly string[], device: number): Promise<void> {
  const { home, argument } = argumentOf(options);
  const child = spawn('fuse-overlayfs', ['-o', argument, '/dev/fd/3'], {
    cwd: home,
    stdio: ['ignore', 'ignore', 'pipe', device],
  });
  const said = text(child.stderr!).catch(() => '');
  try {
    // It goes on in the background, and only then does what was started end.
    const [code] = (await once(child, 'exit')) as [number | null];
    if (code !== 0) throw refusal(await said);
    child.stderr!.destroy();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw missing();
    throw fromNode(error);
  }
}

/**
 * The program's `-o`, with directories named from one that all are in: a single argument must not
 * exceed 128 KiB. What the names are in may be called whatever it likes, except that the program
 * itself looks for colons in it.
 */
export function argumentOf(options: readonly string[]): {
  readonly home: string;
  readonly argument: string;
} {
  const all = splitOptions(options);
  const paths = all.flatMap(([key, value = '']) =>
    DIRECTORIES.has(key) ? pathsOf(key, value) : [],
  );
  const home = commonDirectory(paths);
  const named = (path: string): string => {
    const name = relative(home, path) || '.';
    if (!path.includes(':') && !/[,\\]/.test(name)) return name;
    throw new MicaError(
      'INVALID_ARGUMENT',
      `fuse-overlayfs takes no directories with a colon in their path, as ${path} has; choose another --root`,
    );
  };
  const argument = all.map(([key, value]) => {
    if (value === undefined) return key;
    if (!DIRECTORIES.has(key)) return `${key}=${value.replaceAll(/[,\\]/g, String.raw`\$&`)}`;
    return `${key}=${pathsOf(key, value).map(named).join(':')}`;
  });
  return { home, argument: argument.join(',') };
}

const pathsOf = (key: string, value: string): string[] =>
  key === 'lowerdir' ? parseLowerdir(value) : [value];

/** Of absolute paths. */
function commonDirectory(paths: readonly string[]): string {
  const isIn = (path: string, directory: string): boolean =>
    directory === '/' || path === directory || path.startsWith(`${directory}/`);
  let common = dirname(paths[0] ?? '/x');
  for (const path of paths) while (!isIn(path, common)) common = dirname(common);
  return common;
}

/** What it says at every start, of an option of its own. */
const NOISE = /^unknown argument ignored: lazytime$/;

function refusal(said: string): MicaError {
  const lines = said.split('\n').filter((line) => line !== '' && !NOISE.test(line));
  return new MicaError('FAILED_PRECONDITION', `fuse-overlayfs: ${lines.join('; ') || 'it failed'}`);
}

const missing = (): MicaError =>
  new MicaError(
    'FAILED_PRECONDITION',
    'the program fuse-overlayfs is not there; install it (in most distributions the package fuse-overlayfs)',
  );

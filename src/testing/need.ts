import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

const have = (program: string): boolean =>
  (process.env['PATH'] ?? '').split(delimiter).some((dir) => existsSync(join(dir, program)));

const runs = (file: string, ...args: string[]): boolean => {
  try {
    execFileSync(file, args, { stdio: 'ignore', timeout: 20_000 });
    return true;
  } catch {
    return false;
  }
};

const root = (): boolean => process.platform === 'linux' && process.getuid?.() === 0;

const fileSystem = (name: string): boolean =>
  process.platform === 'linux' &&
  readFileSync('/proc/filesystems', 'latin1').split(/\s+/).includes(name);

/** What a test may need of the machine, and how to find out. A program's name means: it is on the PATH. */
const PROBES = {
  linux: () => process.platform === 'linux',
  root,
  overlay: () => root() && fileSystem('overlay') && runs('unshare', '-m', 'true'),
  /** Unprivileged user namespaces with subordinate ids. */
  userns: () => root() && have('newuidmap') && have('setpriv') && runs('unshare', '-Urm', 'true'),
  loop: () => root() && existsSync('/dev/loop-control') && have('mkfs.ext4'),
  erofs: () => root() && fileSystem('erofs'),
  tar: () => have('tar') && runs('tar', '--version'),
  skopeo: () => have('skopeo'),
  umoci: () => have('umoci'),
  podman: () => root() && have('podman'),
  'docker-registry': () => have('docker-registry'),
  /** erofs-utils 1.7 or newer; 1.5 refuses 512-byte blocks. */
  'erofs-utils': () => have('fsck.erofs') && runs('mkfs.erofs', '--tar=i', '--help'),
  setcap: () => root() && have('setcap'),
  setfattr: () => have('setfattr'),
  zstd: () => have('zstd'),
} satisfies Record<string, () => boolean>;

export type Need = keyof typeof PROBES;

const answers = new Map<Need, boolean>();

export function isMet(need: Need): boolean {
  const known = answers.get(need);
  if (known !== undefined) return known;
  const met = PROBES[need]();
  answers.set(need, met);
  return met;
}

/**
 * For a test's `skip` option: `false` when the machine has everything, else the reason. The
 * reasons have one form, `needs a, b`, so that the summary can count them and CI can hold them
 * against the machine.
 */
export function needs(...all: Need[]): string | false {
  const missing = all.filter((need) => !isMet(need));
  return missing.length > 0 && `needs ${missing.join(', ')}`;
}

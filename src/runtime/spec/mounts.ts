import { existsSync } from 'node:fs';
import { posix } from 'node:path';
import { MicaError } from '../../errors.ts';
import { type HostFacts, isMapped } from './host.ts';
import type { SpecMount } from './oci-spec.ts';
import type { Bind, ContainerOptions, Tmpfs } from './options.ts';

/** As Docker's. In bytes. */
const SHM_SIZE = 64 * 1024 * 1024;
/** Group `tty` of every distribution. */
const TTY_GROUP = 5;
const HARMLESS = ['nosuid', 'noexec', 'nodev'];

/**
 * Everything mounted into a container, in the order of mounting: Docker's defaults, the generated
 * files of `/etc`, then what was asked for, outer paths first. What was asked for takes the place of
 * a default at or below its target.
 *
 * @param files name in the container → file on this machine
 * @throws INVALID_ARGUMENT; NOT_FOUND when a bind's source does not exist
 */
export function mountsOf(
  options: ContainerOptions,
  files: Readonly<Record<string, string>>,
  host: HostFacts,
): SpecMount[] {
  const asked = [...(options.binds ?? []).map(bindOf), ...(options.tmpfs ?? []).map(tmpfsOf)];
  refuseTwice(asked);
  const own = [
    ...defaults(options, host),
    ...Object.entries(files).map(([target, source]) =>
      bindOf({ source, target, readonly: options.readonly }),
    ),
  ].filter(({ destination }) => !asked.some((mount) => covers(mount.destination, destination)));
  return [...own, ...asked.sort((a, b) => depth(a.destination) - depth(b.destination))];
}

const covers = (outer: string, path: string): boolean =>
  path === outer || path.startsWith(`${outer}/`);
const depth = (path: string): number => path.split('/').length;

function defaults(options: ContainerOptions, host: HostFacts): SpecMount[] {
  const mode = isMapped(host.gids, TTY_GROUP) ? [`gid=${TTY_GROUP}`] : [];
  const shm = `size=${options.shmSize ?? SHM_SIZE}`;
  const pts = ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', ...mode];
  const dev = ['nosuid', 'strictatime', 'mode=755', 'size=65536k'];
  return [
    mount('/proc', 'proc', 'proc', HARMLESS),
    mount('/dev', 'tmpfs', 'tmpfs', dev),
    mount('/dev/pts', 'devpts', 'devpts', pts),
    sysfs(options, host),
    ...cgroupMount(options, host),
    ...(options.ipc === 'host'
      ? ['/dev/mqueue', '/dev/shm']
          .filter(existsSync)
          .map((path) => mount(path, 'bind', path, ['rbind', 'rslave']))
      : [mount('/dev/mqueue', 'mqueue', 'mqueue', HARMLESS)]),
    ...(options.ipc === undefined || options.ipc === 'private'
      ? [mount('/dev/shm', 'tmpfs', 'shm', [...HARMLESS, 'mode=1777', shm])]
      : []),
  ];
}

/** A user namespace may mount the sysfs of its own networks only. */
function sysfs({ network, privileged }: ContainerOptions, host: HostFacts): SpecMount {
  const access = privileged ? 'rw' : 'ro';
  return host.userNamespace && network === 'host'
    ? mount('/sys', 'bind', '/sys', [...HARMLESS, 'rbind', 'rslave', 'ro'])
    : mount('/sys', 'sysfs', 'sysfs', [...HARMLESS, access]);
}

const cgroupMount = ({ privileged }: ContainerOptions, host: HostFacts): SpecMount[] =>
  host.cgroups === 'none'
    ? []
    : [mount('/sys/fs/cgroup', 'cgroup', 'cgroup', [...HARMLESS, privileged ? 'rw' : 'ro'])];

const mount = (
  destination: string,
  type: string,
  source: string,
  options: readonly string[],
): SpecMount => ({ destination, type, source, options });

function bindOf({ source, target, readonly, propagation = 'rprivate', flat }: Bind): SpecMount {
  if (!posix.isAbsolute(source))
    throw invalid(`source of mount ${JSON.stringify(source)} is not an absolute path`);
  if (!existsSync(source))
    throw new MicaError('NOT_FOUND', `${source}, to be mounted on ${target}, does not exist`);
  const options = [flat ? 'bind' : 'rbind', readonly ? 'ro' : 'rw', propagation];
  return mount(targetOf(target), 'bind', source, options);
}

const tmpfsOf = ({ target, options = [] }: Tmpfs): SpecMount =>
  mount(targetOf(target), 'tmpfs', 'tmpfs', [...HARMLESS, ...options.map(tmpfsOption)]);

const TMPFS_OPTION =
  /^(?:ro|rw|(?:no)?(?:exec|suid|dev|atime|diratime|relatime)|strictatime|sync|dirsync|(?:size|nr_inodes|nr_blocks)=\d+[kKmMgG%]?|(?:mode|uid|gid)=\d+)$/;

function tmpfsOption(option: string): string {
  if (TMPFS_OPTION.test(option)) return option;
  throw invalid(`${JSON.stringify(option)} is no option of a tmpfs`);
}

function targetOf(target: string): string {
  const path = posix.normalize(target).replace(/(?<=.)\/+$/, '');
  if (!posix.isAbsolute(path))
    throw invalid(`target of mount ${JSON.stringify(target)} is not an absolute path`);
  if (path === '/') throw invalid('nothing can be mounted on / of a container');
  return path;
}

function refuseTwice(mounts: readonly SpecMount[]): void {
  const seen = new Set<string>();
  for (const { destination } of mounts) {
    if (seen.has(destination)) throw invalid(`two mounts on ${destination}`);
    seen.add(destination);
  }
}

const invalid = (message: string): MicaError => new MicaError('INVALID_ARGUMENT', message);

import { posix } from 'node:path';
import { MicaError } from '../../errors.ts';
import type { Root } from '../../fs/root.ts';
import type { ContainerDefaults } from '../../oci/config.ts';
import { refuseTooLong } from './argument-room.ts';
import { capabilityNames, capabilitySets } from './capabilities.ts';
import { environmentOf } from './environment.ts';
import { type HostFacts, isMapped } from './host.ts';
import type { Process } from './oci-spec.ts';
import type { ContainerOptions } from './options.ts';
import { rlimitsOf } from './rlimits.ts';
import { type ContainerUser, resolveUser } from './user.ts';

/** What makes a process of a container: its image, what was asked for, and the name it sees. */
export interface ProcessInput {
  readonly image: ContainerDefaults;
  readonly options: ContainerOptions;
  readonly hostname: string;
  readonly host: HostFacts;
}

/**
 * The process that a container begins with.
 * @param root the container's, for its users and groups
 * @throws INVALID_ARGUMENT; FAILED_PRECONDITION when its user has no number here; StartError when there is more of
 * arguments and environment than the kernel takes
 */
export function processOf(root: Root, input: ProcessInput): Process {
  const { image, options } = input;
  const user = userOf(root, options.user ?? image.User ?? '', input);
  const { consoleSize } = options;
  const made: Process = {
    terminal: options.tty ?? false,
    ...(consoleSize && { consoleSize: { height: consoleSize.rows, width: consoleSize.columns } }),
    user: { uid: user.uid, gid: user.gid, additionalGids: user.additionalGids },
    args: argsOf(image, options),
    env: environmentOf(image, options, { hostname: input.hostname, home: user.home }),
    cwd: posix.join('/', options.workdir ?? image.WorkingDir ?? ''),
    capabilities: capabilitySets(capabilityNames(options)),
    rlimits: (options.ulimits ?? []).map(rlimitsOf),
    noNewPrivileges: options.noNewPrivileges ?? false,
    oomScoreAdj: options.resources?.oomScoreAdj,
  };
  refuseTooLong(made);
  return made;
}

/** A further process in a running container; what is not given is as for its first. */
export interface ExecOptions {
  readonly command: readonly string[];
  readonly env?: readonly string[] | undefined;
  readonly workdir?: string | undefined;
  readonly user?: string | undefined;
  readonly tty?: boolean | undefined;
  readonly privileged?: boolean | undefined;
  readonly consoleSize?: ContainerOptions['consoleSize'];
}

/** @param root the running container's, such as `/proc/<pid>/root` */
export function execProcessOf(root: Root, input: ProcessInput, exec: ExecOptions): Process {
  const { image, options } = input;
  return processOf(root, {
    ...input,
    options: {
      ...options,
      entrypoint: exec.command,
      command: [],
      env: [...(options.env ?? []), ...(exec.env ?? [])],
      workdir: exec.workdir ?? options.workdir ?? image.WorkingDir,
      user: exec.user ?? options.user,
      tty: exec.tty ?? false,
      consoleSize: exec.consoleSize,
      privileged: exec.privileged ?? options.privileged,
    },
  });
}

function argsOf(
  image: ContainerDefaults,
  { entrypoint, command = [] }: ContainerOptions,
): string[] {
  const first = (entrypoint ?? image.Entrypoint ?? []).filter((word, at) => at > 0 || word !== '');
  // A new entry point has no use for the arguments of the old one.
  const rest = command.length > 0 || entrypoint !== undefined ? command : (image.Cmd ?? []);
  const args = [...first, ...rest];
  if (args.length === 0)
    throw new MicaError('INVALID_ARGUMENT', 'the image names no command; give one');
  const nul = args.find((word) => word.includes('\0'));
  if (nul !== undefined)
    throw new MicaError('INVALID_ARGUMENT', `NUL in argument ${JSON.stringify(nul)}`);
  return args;
}

function userOf(root: Root, name: string, { options, host }: ProcessInput): ContainerUser {
  const user = resolveUser(root, name, options.groups);
  const gid = user.additionalGids.find((id) => !isMapped(host.gids, id));
  if (isMapped(host.uids, user.uid) && gid === undefined) return user;
  const what = gid === undefined ? `user ${user.uid}` : `group ${gid}`;
  throw new MicaError(
    'FAILED_PRECONDITION',
    `${what} does not exist in this user namespace; give this user more subordinate ids (usermod --add-subuids, --add-subgids), or run as root`,
  );
}

import { accessSync, constants, statSync } from 'node:fs';
import { basename, delimiter, isAbsolute, join, resolve } from 'node:path';
import { MicaError } from '../errors.ts';
import type { HostFacts } from './spec/host.ts';

/** An OCI runtime of this machine: plain data, to be handed to another process. */
export interface RuntimeChoice {
  /** Absolute. */
  readonly program: string;
  /** Before the command's name. */
  readonly flags: readonly string[];
  /** Where it keeps what it knows, a directory for each container. */
  readonly state: string;
  /** Before the path of its log: without, crun takes what is before a colon for a kind of log. */
  readonly logPrefix: string;
  /** It refuses to work while an empty v2 tree is mounted beside the hierarchies of v1. */
  readonly refusesHybrid: boolean;
  /** Of what has ended it keeps a directory in `state` and control groups, nothing else. */
  readonly leavesFilesOnly: boolean;
  /** For the programs that it looks for itself. */
  readonly searchPath: string;
}

export interface RuntimeOptions {
  /** `crun`, `runc`, or the path of what takes the same commands. Default: the first of both that is there. */
  readonly runtime?: string | undefined;
  /** Where programs are looked for: `$PATH`. */
  readonly searchPath: string;
  /**
   * Directory of the runtime's own state, which must end with the machine: on a tmpfs, below `/run`.
   * It is created.
   */
  readonly state: string;
}

/** crun first: it starts a container in a third of the time, in a tenth of the memory. */
const KNOWN = ['crun', 'runc'];

/** @throws NOT_FOUND when the machine has none */
export function findRuntime(options: RuntimeOptions, host: HostFacts): RuntimeChoice {
  const { runtime, searchPath, state } = options;
  for (const name of runtime === undefined ? KNOWN : [runtime]) {
    const program = name.includes('/')
      ? executable(resolve(name))
      : programsOf(name, searchPath)[0];
    if (program === undefined) continue;
    const isCrun = basename(program).includes('crun');
    return {
      program,
      flags: isCrun ? crunFlags(host) : runcFlags(host),
      state,
      logPrefix: isCrun ? 'file:' : '',
      refusesHybrid: isCrun && host.hybrid,
      leavesFilesOnly: KNOWN.includes(basename(program)),
      searchPath,
    };
  }
  throw new MicaError(
    'NOT_FOUND',
    runtime === undefined
      ? 'containers need an OCI runtime, crun or runc, and neither is in $PATH; install one'
      : `no OCI runtime ${runtime} that can be executed`,
  );
}

const crunFlags = ({ cgroups }: HostFacts): string[] =>
  cgroups === 'none' ? ['--cgroup-manager=disabled'] : [];

const runcFlags = ({ userNamespace }: HostFacts): string[] =>
  userNamespace ? ['--rootless', 'true'] : [];

/** Those of that name, in the order of the path. */
export const programsOf = (name: string, searchPath: string): string[] =>
  searchPath
    .split(delimiter)
    .filter((directory) => isAbsolute(directory))
    .map((directory) => executable(join(directory, name)))
    .filter((program) => program !== undefined);

function executable(path: string): string | undefined {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile() ? path : undefined;
  } catch {
    return undefined;
  }
}

import type { Command } from 'commander';
import { MicaError } from '../../../errors.ts';
import type { ContainerOptions } from '../../../runtime/spec/options.ts';

export interface NamespaceFlags {
  readonly network?: string;
  readonly net?: string;
  readonly pid?: string;
  readonly ipc?: string;
  readonly uts?: string;
  readonly userns?: string;
  readonly cgroupns?: string;
}

export const namespaceFlags = (command: Command): Command =>
  command
    .option('--network <mode>', 'none (the default) or host')
    .option('--ipc <mode>', 'shared memory: private (the default), none or host')
    .option('--uts <mode>', 'host: the host name of the machine')
    .option('--cgroupns <mode>', 'private or host; default: private with control groups v2')
    .option('--pid <mode>', 'its own, the only one')
    .option('--userns <mode>', 'host, the only one');

type Namespaces = Pick<ContainerOptions, 'network' | 'ipc' | 'uts' | 'cgroupns'>;

/** @throws NOT_IMPLEMENTED for what docker has and we have not */
export function namespacesOf(flags: NamespaceFlags): Namespaces {
  const { pid = '', userns = '' } = flags;
  if (pid !== '' && pid !== 'private')
    throw missing(
      `--pid ${pid}`,
      'a container has its own processes, by which it is ended; look at them from outside with mica top',
    );
  if (userns !== '' && userns !== 'host')
    throw missing(
      `--userns ${userns}`,
      'a container has the users of who runs Mica: the machine, or without root those of /etc/subuid',
    );
  return {
    network: networkOf(flags.network ?? flags.net),
    ipc: oneOf('--ipc', flags.ipc, ['private', 'none', 'host']),
    uts: oneOf('--uts', flags.uts, ['private', 'host']),
    cgroupns: oneOf('--cgroupns', flags.cgroupns, ['private', 'host']),
  };
}

function networkOf(mode: string | undefined): 'none' | 'host' | undefined {
  if (mode === undefined || mode === 'none' || mode === 'host') return mode;
  throw missing(
    `network ${mode}`,
    "Mica has none (lo alone) and host (the machine's own); bridges and others are out of its scope",
  );
}

function oneOf<T extends string>(
  flag: string,
  mode: string | undefined,
  known: readonly T[],
): T | undefined {
  if (mode === undefined || mode === '') return undefined;
  const found = known.find((one) => one === mode || (mode === 'shareable' && one === 'private'));
  if (found !== undefined) return found;
  throw missing(`${flag} ${mode}`, `there are ${known.join(', ')}; no container joins another`);
}

const missing = (what: string, why: string): MicaError =>
  new MicaError('NOT_IMPLEMENTED', `${what}: ${why}`);

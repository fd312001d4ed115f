import type { Command } from 'commander';
import { MicaError } from '../../../errors.ts';
import { parseBytes } from '../../../io/parse-bytes.ts';
import type { DeviceLimit, ResourceOptions, Ulimit } from '../../../runtime/spec/options.ts';
import { collect } from '../list.ts';
import { bytesOrUnlimited, integer, positive } from './numbers.ts';

export interface LimitFlags {
  readonly memory?: string;
  readonly memoryReservation?: string;
  readonly memorySwap?: string;
  readonly memorySwappiness?: string;
  readonly oomKillDisable?: boolean;
  readonly oomScoreAdj?: string;
  readonly cpus?: string;
  readonly cpuShares?: string;
  readonly cpuPeriod?: string;
  readonly cpuQuota?: string;
  readonly cpusetCpus?: string;
  readonly cpusetMems?: string;
  readonly pidsLimit?: string;
  readonly blkioWeight?: string;
  readonly blkioWeightDevice: readonly string[];
  readonly deviceReadBps: readonly string[];
  readonly deviceReadIops: readonly string[];
  readonly deviceWriteBps: readonly string[];
  readonly deviceWriteIops: readonly string[];
  readonly ulimit: readonly string[];
}

export const limitFlags = (command: Command): Command =>
  command
    .option('-m, --memory <bytes>', 'at most so much memory, e.g. 512m')
    .option('--memory-reservation <bytes>', 'so much memory is left to it')
    .option('--memory-swap <bytes>', 'memory and swap together; -1: no limit')
    .option('--memory-swappiness <percent>', 'how willingly it is swapped (control groups v1)')
    .option('--oom-kill-disable', 'without memory it waits (control groups v1)')
    .option('--oom-score-adj <number>', 'from -1000 to 1000: the first to be killed without memory')
    .option('--cpus <number>', 'at most so many processors, e.g. 1.5')
    .option('-c, --cpu-shares <number>', 'weight against others')
    .option('--cpu-period <microseconds>', 'for which the quota holds')
    .option('--cpu-quota <microseconds>', 'of processors in each period')
    .option('--cpuset-cpus <list>', 'only these processors, e.g. 0-2')
    .option('--cpuset-mems <list>', 'only these memory nodes')
    .option('--pids-limit <number>', 'at most so many processes; -1: no limit')
    .option('--ulimit <name=soft:hard>', 'limit of each of its processes', collect, [])
    .option('--blkio-weight <number>', 'of disks, against others: 10 to 1000')
    .option('--blkio-weight-device <device:number>', 'the same of one disk', collect, [])
    .option('--device-read-bps <device:bytes>', 'read at most so much in a second', collect, [])
    .option('--device-read-iops <device:number>', 'read at most so often in a second', collect, [])
    .option('--device-write-bps <device:bytes>', 'write at most so much in a second', collect, [])
    .option(
      '--device-write-iops <device:number>',
      'write at most so often in a second',
      collect,
      [],
    );

/** docker's words for no limit are taken as such: 0, and for some -1. */
export function resourcesOf(flags: LimitFlags): ResourceOptions | undefined {
  const all: ResourceOptions = {
    memory: limit(flags.memory, bytesOrUnlimited),
    memoryReservation: limit(flags.memoryReservation, bytesOrUnlimited),
    memorySwap: limit(flags.memorySwap, bytesOrUnlimited),
    memorySwappiness: limit(flags.memorySwappiness, whole('--memory-swappiness'), '-1'),
    oomKillDisable: flags.oomKillDisable || undefined,
    // The container's own 0, and not what Mica has.
    oomScoreAdj: limit(flags.oomScoreAdj, whole('--oom-score-adj'), ''),
    cpus: limit(flags.cpus, (text) => positive('--cpus', text)),
    cpuShares: limit(flags.cpuShares, whole('--cpu-shares')),
    cpuPeriod: limit(flags.cpuPeriod, whole('--cpu-period')),
    cpuQuota: limit(flags.cpuQuota, whole('--cpu-quota')),
    cpusetCpus: flags.cpusetCpus || undefined,
    cpusetMems: flags.cpusetMems || undefined,
    pidsLimit: limit(flags.pidsLimit, whole('--pids-limit')),
    ...disksOf(flags),
  };
  return Object.values(all).some((value) => value !== undefined) ? all : undefined;
}

const whole =
  (flag: string) =>
  (text: string): number =>
    integer(flag, text);

const limit = (
  text: string | undefined,
  read: (text: string) => number,
  none = '0',
): number | undefined => (text === undefined || text === none ? undefined : read(text));

function disksOf(flags: LimitFlags): ResourceOptions {
  const limits = (
    flag: string,
    texts: readonly string[],
    read = (text: string): number => integer(flag, text),
  ): DeviceLimit[] | undefined =>
    texts.length === 0 ? undefined : texts.map((text) => deviceLimit(flag, text, read));
  return {
    blkioWeight: limit(flags.blkioWeight, whole('--blkio-weight')),
    blkioWeightDevice: limits('--blkio-weight-device', flags.blkioWeightDevice),
    deviceReadBps: limits('--device-read-bps', flags.deviceReadBps, parseBytes),
    deviceReadIops: limits('--device-read-iops', flags.deviceReadIops),
    deviceWriteBps: limits('--device-write-bps', flags.deviceWriteBps, parseBytes),
    deviceWriteIops: limits('--device-write-iops', flags.deviceWriteIops),
  };
}

function deviceLimit(flag: string, text: string, read: (text: string) => number): DeviceLimit {
  const [, path, value = ''] = /^(\/dev\/.+):([^:]+)$/.exec(text) ?? [];
  if (path !== undefined) return { path, value: read(value) };
  throw new MicaError('INVALID_ARGUMENT', `${flag} ${text} is not /dev/NAME:NUMBER`);
}

export function parseUlimit(text: string): Ulimit {
  const [, name, soft, hard] = /^(\w+)=(-?\d+)(?::(-?\d+))?$/.exec(text) ?? [];
  if (name === undefined)
    throw new MicaError('INVALID_ARGUMENT', `--ulimit ${text} is not NAME=SOFT[:HARD]`);
  return { name, soft: Number(soft), hard: Number(hard ?? soft) };
}

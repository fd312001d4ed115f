import { MicaError } from '../../errors.ts';
import { blockIoOf } from './block-io.ts';
import type { HostFacts } from './host.ts';
import type { DeviceRule, Resources } from './oci-spec.ts';
import type { ResourceOptions } from './options.ts';

/** Less than this cannot even start a container. In bytes. */
const MIN_MEMORY = 6 * 1024 * 1024;
/** In microseconds. */
const CPU_PERIOD = 100_000;

/**
 * Limits as control groups have them.
 * @throws INVALID_ARGUMENT when they contradict; FAILED_PRECONDITION when this machine cannot keep them
 */
export function resourcesOf(
  options: ResourceOptions,
  devices: readonly DeviceRule[],
  host: Pick<HostFacts, 'cgroups' | 'swapLimit' | 'controllers'>,
): Resources | undefined {
  if (host.cgroups === 'none') {
    refuseLimits(options);
    return undefined;
  }
  refuseOld(options, host);
  refuseUnkept(options, host.controllers);
  const memory = memoryOf(options, host.swapLimit);
  const cpu = cpuOf(options);
  const pids = options.pidsLimit ?? 0;
  const blockIO = blockIoOf(options);
  return {
    devices,
    ...(memory && { memory }),
    ...(cpu && { cpu }),
    ...(pids > 0 && { pids: { limit: pids } }),
    ...(blockIO && { blockIO }),
  };
}

function refuseLimits({ oomScoreAdj: _, pidsLimit = 0, ...limits }: ResourceOptions): void {
  const all = { ...limits, ...(pidsLimit > 0 && { pidsLimit }) };
  const asked = Object.entries(all).find(([, value]) => value !== undefined && value !== false);
  if (asked === undefined) return;
  throw new MicaError(
    'FAILED_PRECONDITION',
    `${asked[0]} needs control groups, and there are none that this user may change; run as root, or without the limit`,
  );
}

/** What control groups v2 have no more. */
function refuseOld(
  { memorySwappiness, oomKillDisable }: ResourceOptions,
  { cgroups }: Pick<HostFacts, 'cgroups'>,
): void {
  if (cgroups !== 'v2' || (memorySwappiness === undefined && !oomKillDisable)) return;
  const what = oomKillDisable ? '--oom-kill-disable' : '--memory-swappiness';
  throw new MicaError(
    'FAILED_PRECONDITION',
    `${what} is of control groups v1, and this machine has v2, which cannot do that; leave it out`,
  );
}

/** What keeps each limit. */
const CONTROLLERS: Partial<Record<keyof ResourceOptions, string>> = {
  memory: 'memory',
  memoryReservation: 'memory',
  cpus: 'cpu',
  cpuShares: 'cpu',
  cpuPeriod: 'cpu',
  cpuQuota: 'cpu',
  cpusetCpus: 'cpuset',
  cpusetMems: 'cpuset',
  blkioWeight: 'io',
  blkioWeightDevice: 'io',
  deviceReadBps: 'io',
  deviceWriteBps: 'io',
  deviceReadIops: 'io',
  deviceWriteIops: 'io',
  pidsLimit: 'pids',
};

function refuseUnkept(options: ResourceOptions, controllers: HostFacts['controllers']): void {
  if (controllers === undefined) return;
  const limits = { ...options, ...((options.pidsLimit ?? 0) <= 0 && { pidsLimit: undefined }) };
  for (const [limit, controller] of Object.entries(CONTROLLERS))
    if (limits[limit as keyof ResourceOptions] !== undefined && !controllers.has(controller))
      throw new MicaError(
        'FAILED_PRECONDITION',
        `${limit} needs the controller ${controller}, which no control group below /sys/fs/cgroup can have here; if processes are in that group itself, as in a container, move them to one below it, or run without the limit`,
      );
}

function memoryOf(options: ResourceOptions, swapLimit: boolean): Resources['memory'] {
  const { memory, memoryReservation, memorySwap, memorySwappiness, oomKillDisable } = options;
  if (memory !== undefined && memory < MIN_MEMORY)
    throw invalid(`a memory limit of ${memory} bytes is below the least of ${MIN_MEMORY}`);
  if (memoryReservation !== undefined && memory !== undefined && memoryReservation > memory)
    throw invalid(
      `a memory reservation of ${memoryReservation} bytes is above the limit ${memory}`,
    );
  if (memorySwap !== undefined && memorySwap !== -1) {
    if (memory === undefined) throw invalid('a limit of memory and swap needs a limit of memory');
    if (memorySwap < memory)
      throw invalid(`${memorySwap} bytes of memory and swap are less than the memory alone`);
  }
  if (memorySwap !== undefined && !swapLimit)
    throw new MicaError('FAILED_PRECONDITION', 'this kernel does not limit swap (swapaccount=1)');
  if (memorySwappiness !== undefined && !(memorySwappiness >= 0 && memorySwappiness <= 100))
    throw invalid(`a swappiness of ${memorySwappiness} is not between 0 and 100`);
  const swap = memorySwap ?? (memory !== undefined && swapLimit ? 2 * memory : undefined);
  const all = {
    ...(memory !== undefined && { limit: memory }),
    ...(memoryReservation !== undefined && { reservation: memoryReservation }),
    ...(swap !== undefined && { swap }),
    ...(memorySwappiness !== undefined && { swappiness: memorySwappiness }),
    ...(oomKillDisable && { disableOOMKiller: true }),
  };
  return Object.keys(all).length > 0 ? all : undefined;
}

function cpuOf(options: ResourceOptions): Resources['cpu'] {
  const { cpus, cpuShares, cpuPeriod, cpuQuota, cpusetCpus, cpusetMems } = options;
  if (cpus !== undefined && (cpuPeriod !== undefined || cpuQuota !== undefined))
    throw invalid('a number of processors and a period or quota say the same thing twice');
  if (cpus !== undefined && !(cpus >= 0.01)) throw invalid(`${cpus} processors are below 0.01`);
  const quota = cpus === undefined ? cpuQuota : Math.round(cpus * CPU_PERIOD);
  const period = cpus === undefined ? cpuPeriod : CPU_PERIOD;
  const cpu = {
    ...(cpuShares !== undefined && { shares: cpuShares }),
    ...(quota !== undefined && { quota }),
    ...(period !== undefined && { period }),
    ...(cpusetCpus !== undefined && { cpus: cpusetCpus }),
    ...(cpusetMems !== undefined && { mems: cpusetMems }),
  };
  return Object.keys(cpu).length > 0 ? cpu : undefined;
}

const invalid = (message: string): MicaError => new MicaError('INVALID_ARGUMENT', message);

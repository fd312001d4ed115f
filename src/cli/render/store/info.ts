import { availableParallelism, hostname, machine, totalmem } from 'node:os';
import type { ContainerInfo } from '../../../engine/containers/containers.ts';
import type { EngineInfo } from '../../../engine/info.ts';
import { Struct } from '../../template/value.ts';

/** What `docker info` has, as far as there is such a thing here. */
export function infoFields(facts: EngineInfo, containers: readonly ContainerInfo[]): Struct {
  const count = (status: string): number =>
    containers.filter(({ state }) => state.status === status).length;
  const [running, paused] = [count('running'), count('paused')];
  return new Struct({
    Containers: containers.length,
    ContainersRunning: running,
    ContainersPaused: paused,
    ContainersStopped: containers.length - running - paused,
    Images: facts.images,
    Driver: facts.driver,
    DriverStatus: Object.entries(facts.driverStatus),
    KernelVersion: facts.kernel,
    OSType: facts.platform.os,
    Architecture: machine(),
    NCPU: availableParallelism(),
    MemTotal: totalmem(),
    DockerRootDir: facts.root,
    Name: hostname(),
    ServerVersion: facts.version,
  });
}

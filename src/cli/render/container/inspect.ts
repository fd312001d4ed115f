import { configOf } from '../../../container/config.ts';
import type { ContainerInfo } from '../../../engine/containers/containers.ts';
import type { GraphDriver } from '../../../engine/graph-driver.ts';
import type { StoredImage } from '../../../engine/stored-image.ts';
import type { ContainerDefaults } from '../../../oci/config.ts';
import type { DeviceOption } from '../../../runtime/spec/options.ts';
import type { ContainerState } from '../../../runtime/state.ts';
import { containerDefaults, driverData, goTime, NEVER } from '../image/inspect.ts';
import { NIL_LIST, NIL_MAP, Struct, type Value } from '../../template/value.ts';
import { argsOf } from './ps.ts';

export interface InspectFacts {
  readonly graphDriver: GraphDriver;
  /** Bytes in its writable layer, where they are asked for. */
  readonly written: number | undefined;
}

/**
 * A container as `docker inspect` prints it, as far as Mica has what it tells.
 * @see https://docs.docker.com/reference/api/engine/version/v1.45/#tag/Container/operation/ContainerInspect
 */
export function inspectContainer(
  container: ContainerInfo,
  image: StoredImage,
  { graphDriver, written }: InspectFacts,
): Struct {
  const { id, name, createdAt, state, directory } = container;
  const [path = '', ...args] = argsOf(container, image);
  return new Struct({
    Id: id,
    Created: goTime(createdAt.toISOString()),
    Path: path,
    Args: args,
    State: stateOf(state),
    Image: container.image,
    ResolvConfPath: `${directory}/etc/resolv.conf`,
    HostnamePath: `${directory}/etc/hostname`,
    HostsPath: `${directory}/etc/hosts`,
    LogPath: `${directory}/log.json`,
    Name: `/${name}`,
    RestartCount: 0,
    Driver: graphDriver.Name,
    Platform: image.config.os,
    HostConfig: hostConfig(container),
    GraphDriver: new Struct({ Data: driverData(graphDriver), Name: graphDriver.Name }),
    ...(written !== undefined && { SizeRw: written, SizeRootFs: written + image.size }),
    Mounts: mountsOf(container),
    Config: containerDefaults(dockerConfig(container, image.config.config ?? {})),
  });
}

function stateOf(state: ContainerState): Struct {
  const running =
    state.status === 'running' || state.status === 'paused'
      ? state
      : state.status === 'dead'
        ? state.running
        : undefined;
  const exited = state.status === 'exited' ? state : undefined;
  return new Struct({
    Status: state.status === 'starting' ? 'created' : state.status,
    Running: state.status === 'running' || state.status === 'paused',
    Paused: state.status === 'paused',
    Restarting: false,
    OOMKilled: exited?.oomKilled ?? false,
    Dead: state.status === 'dead',
    Pid: running?.process.pid ?? 0,
    ExitCode: exited?.exitCode ?? 0,
    Error: exited?.error ?? '',
    StartedAt: goTime(running?.startedAt ?? exited?.startedAt ?? NEVER),
    FinishedAt: goTime(exited?.finishedAt ?? NEVER),
  });
}

const orNil = (list: readonly string[] | undefined): Value => (list?.length ? list : NIL_LIST);

function hostConfig({ settings }: ContainerInfo): Struct {
  const { options, autoRemove = false, log = {}, maxSize } = settings;
  const { resources = {} } = options;
  const logConfig = {
    ...(log.maxSize !== undefined && { 'max-size': String(log.maxSize) }),
    ...(log.maxFiles !== undefined && { 'max-file': String(log.maxFiles) }),
  };
  return new Struct({
    Binds: orNil(options.binds?.map(bindText)),
    LogConfig: new Struct({ Type: 'json-file', Config: new Map(Object.entries(logConfig)) }),
    NetworkMode: options.network ?? 'none',
    RestartPolicy: new Struct({ Name: 'no', MaximumRetryCount: 0 }),
    AutoRemove: autoRemove,
    CapAdd: orNil(options.capAdd),
    CapDrop: orNil(options.capDrop),
    Dns: options.dns ?? [],
    DnsOptions: options.dnsOptions ?? [],
    DnsSearch: options.dnsSearch ?? [],
    ExtraHosts: orNil(options.hosts),
    GroupAdd: orNil(options.groups),
    IpcMode: options.ipc ?? 'private',
    OomScoreAdj: resources.oomScoreAdj ?? 0,
    Privileged: options.privileged ?? false,
    ReadonlyRootfs: options.readonly ?? false,
    SecurityOpt: orNil([
      ...(options.noNewPrivileges ? ['no-new-privileges'] : []),
      ...(options.seccomp === 'unconfined' ? ['seccomp=unconfined'] : []),
      ...(typeof options.seccomp === 'object'
        ? [`seccomp=${JSON.stringify(options.seccomp)}`]
        : []),
      ...(options.unhidden ? ['systempaths=unconfined'] : []),
    ]),
    StorageOpt:
      maxSize === undefined ? NIL_MAP : new Map(Object.entries({ size: String(maxSize) })),
    Tmpfs: options.tmpfs?.length
      ? new Map(options.tmpfs.map(({ target, options: words = [] }) => [target, words.join(',')]))
      : NIL_MAP,
    UTSMode: options.uts === 'host' ? 'host' : '',
    UsernsMode: '',
    ShmSize: options.shmSize ?? 64 * 2 ** 20,
    CpuShares: resources.cpuShares ?? 0,
    Memory: resources.memory ?? 0,
    NanoCpus: Math.round((resources.cpus ?? 0) * 1e9),
    CpuPeriod: resources.cpuPeriod ?? 0,
    CpuQuota: resources.cpuQuota ?? 0,
    CpusetCpus: resources.cpusetCpus ?? '',
    CpusetMems: resources.cpusetMems ?? '',
    Devices: options.devices?.length ? options.devices.map(deviceOf) : NIL_LIST,
    MemoryReservation: resources.memoryReservation ?? 0,
    MemorySwap: resources.memorySwap ?? 0,
    MemorySwappiness: resources.memorySwappiness ?? null,
    OomKillDisable: resources.oomKillDisable ?? null,
    PidsLimit: resources.pidsLimit ?? null,
    Init: options.init ?? null,
  });
}

const deviceOf = ({ source, target, access }: DeviceOption): Struct =>
  new Struct({ PathOnHost: source, PathInContainer: target, CgroupPermissions: access });

const bindText = ({
  source,
  target,
  readonly,
}: {
  readonly source: string;
  readonly target: string;
  readonly readonly?: boolean | undefined;
}): string => `${source}:${target}${readonly ? ':ro' : ''}`;

function mountsOf({ settings }: ContainerInfo): Struct[] {
  const { binds = [], tmpfs = [] } = settings.options;
  return [
    ...binds.map(
      ({ source, target, readonly = false, propagation = 'rprivate' }) =>
        new Struct({
          Type: 'bind',
          Source: source,
          Destination: target,
          Mode: readonly ? 'ro' : '',
          RW: !readonly,
          Propagation: propagation,
        }),
    ),
    ...tmpfs.map(
      ({ target, options = [] }) =>
        new Struct({
          Type: 'tmpfs',
          Source: '',
          Destination: target,
          Mode: options.join(','),
          RW: true,
          Propagation: '',
        }),
    ),
  ];
}

function dockerConfig(
  { id, settings }: ContainerInfo,
  image: ContainerDefaults,
): ContainerDefaults {
  const { options, interactive = false, imageName } = settings;
  return {
    ...configOf(settings, image),
    Hostname: options.hostname ?? id.slice(0, 12),
    Domainname: options.domainname ?? '',
    Tty: options.tty ?? false,
    OpenStdin: interactive,
    StdinOnce: interactive,
    Image: imageName,
  };
}

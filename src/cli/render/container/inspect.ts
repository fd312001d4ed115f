import { configOf } from '../../../container/config.ts';
import type { ContainerInfo } from '../../../engine/containers/containers.ts';
import type { GraphDriver } from '../../../engine/graph-driver.ts';
import type { StoredImage } from '../../../engine/stored-image.ts';
import type { ContainerDefaults } from '../../../oci/config.ts';
import type { ContainerState } from '../../../runtime/state.ts';
import { containerDefaults, driverData, goTime, NEVER } from '../image/inspect.ts';
import { NIL_LIST, NIL_MAP, Struct, type Value } from '../../template/value.ts';
import { argsOf } from './ps.ts';

/**
 * A container as `docker inspect` prints it, as far as Mica has what it tells.
 * @see https://docs.docker.com/reference/api/engine/version/v1.45/#tag/Container/operation/ContainerInspect
 */
export function inspectContainer(
  container: ContainerInfo,
  image: StoredImage,
  graphDriver: GraphDriver,
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
    ExtraHosts: orNil(options.hosts),
    GroupAdd: orNil(options.groups),
    Privileged: options.privileged ?? false,
    ReadonlyRootfs: options.readonly ?? false,
    SecurityOpt: orNil([
      ...(options.noNewPrivileges ? ['no-new-privileges'] : []),
      ...(options.seccomp === 'unconfined' ? ['seccomp=unconfined'] : []),
    ]),
    StorageOpt:
      maxSize === undefined ? NIL_MAP : new Map(Object.entries({ size: String(maxSize) })),
    Tmpfs: options.tmpfs?.length
      ? new Map(options.tmpfs.map(({ target, options: words = [] }) => [target, words.join(',')]))
      : NIL_MAP,
    ShmSize: options.shmSize ?? 64 * 2 ** 20,
    CpuShares: resources.cpuShares ?? 0,
    Memory: resources.memory ?? 0,
    NanoCpus: Math.round((resources.cpus ?? 0) * 1e9),
    CpusetCpus: resources.cpusetCpus ?? '',
    MemoryReservation: resources.memoryReservation ?? 0,
    MemorySwap: resources.memorySwap ?? 0,
    PidsLimit: resources.pidsLimit ?? null,
  });
}

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

import type { GraphDriver } from '../../../engine/graph-driver.ts';
import type { StoredImage } from '../../../engine/stored-image.ts';
import type { ContainerDefaults, Healthcheck } from '../../../oci/config.ts';
import { familiar, parseReference } from '../../../oci/reference.ts';
import { Duration, NIL_LIST, NIL_MAP, Struct, type Value } from '../../template/value.ts';

/** Go's zero time: docker's word for "never". */
export const NEVER = '0001-01-01T00:00:00Z';

/**
 * An image as `docker image inspect` prints it, field for field, in the shape of Engine API 1.45
 * (Docker 26).
 * @see https://docs.docker.com/reference/api/engine/version/v1.45/#tag/Image/operation/ImageInspect
 */
export function inspectImage(image: StoredImage, graphDriver: GraphDriver): Struct {
  const { config } = image;
  return new Struct(
    {
      Id: image.id,
      RepoTags: image.references.toSorted().map(short),
      RepoDigests: image.repoDigests.toSorted().map(short),
      Parent: config.parent ?? '',
      Comment: config.comment || (config.history?.at(-1)?.comment ?? ''),
      Created: config.created === undefined ? '' : goTime(config.created),
      Container: '',
      ContainerConfig: null,
      DockerVersion: config.docker_version ?? '',
      Author: config.author ?? '',
      Config: config.config === undefined ? null : containerDefaults(config.config),
      Architecture: config.architecture,
      Variant: config.variant ?? '',
      Os: config.os,
      OsVersion: config['os.version'] ?? '',
      Size: image.size,
      VirtualSize: 0,
      GraphDriver: new Struct({ Data: driverData(graphDriver), Name: graphDriver.Name }),
      RootFS: new Struct(
        { Type: config.rootfs.type, Layers: config.rootfs.diff_ids },
        { omitEmpty: ['Layers'] },
      ),
      Metadata: new Struct({
        LastTagTime: image.taggedAt ? goTime(image.taggedAt.toISOString()) : NEVER,
      }),
    },
    {
      omitEmpty: ['Created', 'Container', 'ContainerConfig', 'Variant', 'OsVersion', 'VirtualSize'],
    },
  );
}

const short = (reference: string): string => familiar(parseReference(reference));

export const driverData = ({ Data }: GraphDriver): Value =>
  Object.keys(Data).length === 0 ? NIL_MAP : new Map(Object.entries(Data));

/** Go prints fractions of a second without trailing zeros. Not by a pattern: an image may say very many digits. */
export function goTime(time: string): string {
  const point = time.indexOf('.');
  if (point < 0) return time;
  let end = point + 1;
  while (isDigit(time[end])) end++;
  let kept = end;
  while (time[kept - 1] === '0') kept--;
  return time.slice(0, kept === point + 1 ? point : kept) + time.slice(end);
}

const isDigit = (char: string | undefined): boolean =>
  char !== undefined && char >= '0' && char <= '9';

export function containerDefaults(config: ContainerDefaults): Struct {
  return new Struct(
    {
      Hostname: config.Hostname ?? '',
      Domainname: config.Domainname ?? '',
      User: config.User ?? '',
      AttachStdin: config.AttachStdin ?? false,
      AttachStdout: config.AttachStdout ?? false,
      AttachStderr: config.AttachStderr ?? false,
      ExposedPorts: set(config.ExposedPorts),
      Tty: config.Tty ?? false,
      OpenStdin: config.OpenStdin ?? false,
      StdinOnce: config.StdinOnce ?? false,
      Env: config.Env ?? NIL_LIST,
      Cmd: config.Cmd ?? NIL_LIST,
      Healthcheck: config.Healthcheck ? healthcheck(config.Healthcheck) : null,
      ArgsEscaped: config.ArgsEscaped ?? false,
      Image: config.Image ?? '',
      Volumes: set(config.Volumes),
      WorkingDir: config.WorkingDir ?? '',
      Entrypoint: config.Entrypoint ?? NIL_LIST,
      NetworkDisabled: config.NetworkDisabled ?? false,
      MacAddress: config.MacAddress ?? '',
      OnBuild: config.OnBuild ?? NIL_LIST,
      Labels: config.Labels ? new Map(Object.entries(config.Labels)) : NIL_MAP,
      StopSignal: config.StopSignal ?? '',
      StopTimeout: config.StopTimeout ?? null,
      Shell: config.Shell ?? NIL_LIST,
    },
    {
      omitEmpty: [
        'ExposedPorts',
        'Healthcheck',
        'ArgsEscaped',
        'NetworkDisabled',
        'MacAddress',
        'StopSignal',
        'StopTimeout',
        'Shell',
      ],
    },
  );
}

const set = (keys: Readonly<Record<string, object>> | undefined): Value =>
  keys ? new Map(Object.keys(keys).map((key) => [key, new Struct({})])) : NIL_MAP;

function healthcheck(config: Healthcheck): Struct {
  return new Struct(
    {
      Test: config.Test ?? NIL_LIST,
      Interval: new Duration(config.Interval ?? 0),
      Timeout: new Duration(config.Timeout ?? 0),
      StartPeriod: new Duration(config.StartPeriod ?? 0),
      StartInterval: new Duration(config.StartInterval ?? 0),
      Retries: config.Retries ?? 0,
    },
    { omitEmpty: ['Test', 'Interval', 'Timeout', 'StartPeriod', 'StartInterval', 'Retries'] },
  );
}

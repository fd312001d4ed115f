import { MicaError } from '../../../errors.ts';
import type { CreateRequest } from '../../../engine/containers/containers.ts';
import { applyChanges } from '../../../image/changes.ts';
import { parseBytes } from '../../../io/parse-bytes.ts';
import type { ContainerOptions } from '../../../runtime/spec/options.ts';
import { signalNumber } from '../../../sys/process.ts';
import { parsePairs } from '../pairs.ts';
import { parseDevice, parseDeviceRule } from './devices.ts';
import { environmentOf, readLines } from './environment.ts';
import type { ContainerFlags } from './flags.ts';
import { parseUlimit, resourcesOf } from './limits.ts';
import { isDeclared, parseMount, parseTmpfs, parseVolume } from './mounts.ts';
import { namespacesOf } from './namespaces.ts';
import { integer, positive } from './numbers.ts';
import { absolute } from './paths.ts';
import { securityOf } from './security.ts';

/**
 * @param words after the image
 * @throws INVALID_ARGUMENT; NOT_IMPLEMENTED for what Mica does not do
 */
export function requestOf(flags: ContainerFlags, words: readonly string[]): CreateRequest {
  refuse(flags);
  const { stopSignal, stopTimeout } = flags;
  return {
    name: flags.name,
    options: optionsOf(flags, words),
    labels: labelsOf(flags),
    interactive: flags.interactive,
    autoRemove: flags.rm,
    stopSignal: stopSignal === undefined ? undefined : checkedSignal(stopSignal),
    stopTimeout: stopTimeout === undefined ? undefined : integer('--stop-timeout', stopTimeout),
    log: logOf(flags.logOpt),
    maxSize: maxSizeOf(flags.storageOpt),
    changes: changesOf(flags),
  };
}

/** What is asked for and has no effect. */
export function* warningsOf(flags: ContainerFlags): Generator<string> {
  if (flags.publish.length > 0 || flags.publishAll)
    yield 'ports are not published with --network host: they are those of the machine';
}

function refuse(flags: ContainerFlags): void {
  const { publish, publishAll, logDriver = 'json-file', restart = 'no' } = flags;
  if ((publish.length > 0 || publishAll) && (flags.network ?? flags.net) !== 'host')
    throw new MicaError(
      'NOT_IMPLEMENTED',
      'ports cannot be published: containers have no network of their own but lo; use --network host, where ports are those of the machine',
    );
  if (logDriver !== 'json-file' && logDriver !== 'local')
    throw new MicaError('NOT_IMPLEMENTED', `log driver ${logDriver}: only json-file is there`);
  if (restart !== 'no' && restart !== '')
    throw new MicaError(
      'NOT_IMPLEMENTED',
      `--restart ${restart}: nothing of Mica runs that could start it again; have the machine's service manager do it, with mica run in a unit (Restart=always)`,
    );
}

function optionsOf(flags: ContainerFlags, words: readonly string[]): ContainerOptions {
  const { entrypoint, workdir, shmSize } = flags;
  const mounts = flags.mount.map(parseMount);
  return {
    entrypoint: entrypoint === undefined ? undefined : [entrypoint],
    command: words,
    env: environmentOf(flags),
    workdir: workdir === undefined ? undefined : absolute('--workdir', workdir),
    user: flags.user,
    groups: flags.groupAdd,
    tty: flags.tty,
    init: flags.init,
    // As in docker, an empty name is none.
    hostname: flags.hostname || undefined,
    domainname: flags.domainname,
    ...namespacesOf(flags),
    hosts: flags.addHost,
    dns: flags.dns,
    dnsSearch: flags.dnsSearch,
    dnsOptions: [...flags.dnsOption, ...flags.dnsOpt],
    capAdd: flags.capAdd,
    capDrop: flags.capDrop,
    privileged: flags.privileged,
    ...securityOf(flags.securityOpt),
    readonly: flags.readOnly,
    binds: [
      ...flags.volume.filter((text) => !isDeclared(text)).map(parseVolume),
      ...mounts.flatMap(({ bind }) => bind ?? []),
    ],
    tmpfs: [...flags.tmpfs.map(parseTmpfs), ...mounts.flatMap(({ tmpfs }) => tmpfs ?? [])],
    shmSize: shmSize === undefined ? undefined : parseBytes(shmSize),
    devices: flags.device.map(parseDevice),
    deviceRules: flags.deviceCgroupRule.map(parseDeviceRule),
    resources: resourcesOf(flags),
    ulimits: flags.ulimit.map(parseUlimit),
    sysctls: parsePairs('--sysctl', flags.sysctl),
    annotations: parsePairs('--annotation', flags.annotation),
  };
}

const labelsOf = ({ label, labelFile }: ContainerFlags): Record<string, string> =>
  Object.fromEntries(
    [...labelFile.flatMap(readLines), ...label].map((text) => {
      const at = text.indexOf('=');
      return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
    }),
  );

/** Of the writable layer, in bytes; docker's only option of a container's storage. 0 is no limit, as there. */
function maxSizeOf(options: readonly string[]): number | undefined {
  const all = Object.entries(parsePairs('--storage-opt', options) ?? {});
  const unknown = all.find(([name]) => name !== 'size');
  if (unknown !== undefined)
    throw new MicaError(
      'INVALID_ARGUMENT',
      `there is no --storage-opt ${unknown[0]}; there is size`,
    );
  const size = all.map(([, value]) => parseBytes(value)).at(-1);
  return size === 0 ? undefined : size;
}

function logOf(options: readonly string[]): CreateRequest['log'] {
  const log: { maxSize?: number; maxFiles?: number } = {};
  for (const [name, value] of Object.entries(parsePairs('--log-opt', options) ?? {})) {
    if (name === 'max-size') log.maxSize = parseBytes(value);
    else if (name === 'max-file') log.maxFiles = positive('max-file', value);
    else
      throw new MicaError(
        'NOT_IMPLEMENTED',
        `--log-opt ${name}: only max-size and max-file are there`,
      );
  }
  return options.length === 0 ? undefined : log;
}

/** What an image that is committed of it says otherwise than its own. */
function changesOf({ expose, healthcheck, volume, mount }: ContainerFlags): string[] | undefined {
  const volumes = [
    ...volume.filter(isDeclared),
    ...mount.flatMap((text) => parseMount(text).volume ?? []),
  ];
  const changes = [
    ...(volumes.length > 0 ? [`VOLUME ${JSON.stringify(volumes)}`] : []),
    ...expose.map((port) => `EXPOSE ${port}`),
    ...(healthcheck ? [] : ['HEALTHCHECK NONE']),
  ];
  // Told now what would be wrong then.
  applyChanges({}, changes);
  return changes.length > 0 ? changes : undefined;
}

function checkedSignal(name: string): string {
  if (signalNumber(name) !== undefined) return name;
  throw new MicaError('INVALID_ARGUMENT', `${JSON.stringify(name)} is no signal`);
}

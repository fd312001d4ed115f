import { readFileSync } from 'node:fs';
import { isAbsolute, resolve } from 'node:path';
import type { Command } from 'commander';
import { MicaError } from '../../errors.ts';
import { environmentValue } from '../../engine/config.ts';
import type { CreateRequest } from '../../engine/containers/containers.ts';
import type {
  Bind,
  ContainerOptions,
  ResourceOptions,
  Tmpfs,
  Ulimit,
} from '../../runtime/spec/options.ts';
import { fromNode } from '../../sys/errno.ts';
import { signalNumber } from '../../sys/process.ts';
import { parseBytes } from '../../io/parse-bytes.ts';
import { pullOption } from '../provide-image.ts';

/** docker's flags of `create` and `run`, as far as they say how the container shall be. */
export interface ContainerFlags {
  readonly interactive?: boolean;
  readonly tty?: boolean;
  readonly rm?: boolean;
  readonly env: readonly string[];
  readonly envFile: readonly string[];
  readonly workdir?: string;
  readonly user?: string;
  readonly groupAdd: readonly string[];
  readonly volume: readonly string[];
  readonly mount: readonly string[];
  readonly tmpfs: readonly string[];
  readonly readOnly?: boolean;
  readonly entrypoint?: string;
  readonly hostname?: string;
  readonly domainname?: string;
  readonly addHost: readonly string[];
  readonly dns: readonly string[];
  readonly network?: string;
  readonly publish: readonly string[];
  readonly memory?: string;
  readonly memoryReservation?: string;
  readonly memorySwap?: string;
  readonly cpus?: string;
  readonly cpuShares?: string;
  readonly cpusetCpus?: string;
  readonly pidsLimit?: string;
  readonly shmSize?: string;
  readonly ulimit: readonly string[];
  readonly sysctl: readonly string[];
  readonly capAdd: readonly string[];
  readonly capDrop: readonly string[];
  readonly privileged?: boolean;
  readonly securityOpt: readonly string[];
  readonly storageOpt: readonly string[];
  readonly name?: string;
  readonly label: readonly string[];
  readonly labelFile: readonly string[];
  readonly stopSignal?: string;
  readonly stopTimeout?: string;
  readonly logDriver?: string;
  readonly logOpt: readonly string[];
  readonly cidfile?: string;
  readonly platform?: string;
  readonly pull: string;
}

const list = (value: string, all: readonly string[]): readonly string[] => [...all, value];

/** Declares them. What comes after the image belongs to the container. */
export function containerFlags(command: Command): void {
  const many = (flags: string, what: string): Command => command.option(flags, what, list, []);
  command
    .argument('<image>', 'name, digest or ID of an image')
    .argument('[command...]', "instead of the image's own")
    .passThroughOptions()
    .option('-i, --interactive', 'keep standard input open')
    .option('-t, --tty', 'give it a terminal')
    .option('--rm', 'remove it when it ends')
    .option('--name <name>', 'its name; default: one by chance')
    .option('-w, --workdir <path>', 'working directory in the container')
    .option('-u, --user <user>', 'NAME, UID, NAME:GROUP or UID:GID')
    .option('--entrypoint <program>', "instead of the image's; empty: none")
    .option('-h, --hostname <name>', 'its host name')
    .option('--domainname <name>', 'its domain')
    .option('--network <mode>', 'none (the default) or host')
    .option('--read-only', 'the root file system cannot be written')
    .option('-m, --memory <bytes>', 'at most so much memory, e.g. 512m')
    .option('--memory-reservation <bytes>', 'so much memory is left to it')
    .option('--memory-swap <bytes>', 'memory and swap together; -1: no limit')
    .option('--cpus <number>', 'at most so many processors, e.g. 1.5')
    .option('-c, --cpu-shares <number>', 'weight against others')
    .option('--cpuset-cpus <list>', 'only these processors, e.g. 0-2')
    .option('--pids-limit <number>', 'at most so many processes; -1: no limit')
    .option('--shm-size <bytes>', 'size of /dev/shm')
    .option('--privileged', 'all capabilities and devices, nothing hidden')
    .option('--stop-signal <signal>', 'what `mica stop` sends first')
    .option('--stop-timeout <seconds>', 'how long `mica stop` waits; -1: for ever')
    .option('--log-driver <driver>', 'json-file, the only one')
    .option('--cidfile <file>', 'write its ID to this new file')
    .option('--platform <os/arch>', 'of the image, if it has to be pulled');
  pullOption(command);
  many('-e, --env <name=value>', 'environment; NAME alone: with its value here');
  many('--env-file <file>', 'environment from a file, a line each');
  many('-v, --volume <from:to>', 'mount a directory or file of this machine: FROM:TO[:ro]');
  many('--mount <options>', 'type=bind,source=…,target=…[,readonly] or type=tmpfs,target=…');
  many('--tmpfs <path>', 'mount a tmpfs: PATH[:size=64m,…]');
  many('-l, --label <key=value>', 'label');
  many('--label-file <file>', 'labels from a file, a line each');
  many('--group-add <group>', 'further groups of the user');
  many('--add-host <name:address>', 'line in /etc/hosts');
  many('--dns <address>', 'name server');
  many('-p, --publish <ports>', 'refused: there is no network to publish from');
  many('--cap-add <capability>', 'add a capability, or ALL');
  many('--cap-drop <capability>', 'drop a capability, or ALL');
  many('--security-opt <option>', 'no-new-privileges, seccomp=unconfined');
  many('--storage-opt <option>', 'size=BYTES, where the storage driver can limit it');
  many('--ulimit <name=soft:hard>', 'limit of its processes');
  many('--sysctl <name=value>', "kernel parameter of the container's own namespaces");
  many('--log-opt <name=value>', 'max-size=10m, max-file=3');
}

/**
 * @param words after the image
 * @throws INVALID_ARGUMENT; NOT_IMPLEMENTED for what Mica does not do
 */
export function requestOf(flags: ContainerFlags, words: readonly string[]): CreateRequest {
  refuse(flags);
  return {
    name: flags.name,
    options: optionsOf(flags, words),
    labels: labelsOf(flags),
    interactive: flags.interactive,
    autoRemove: flags.rm,
    stopSignal: flags.stopSignal === undefined ? undefined : checkedSignal(flags.stopSignal),
    stopTimeout:
      flags.stopTimeout === undefined ? undefined : integer('--stop-timeout', flags.stopTimeout),
    log: logOf(flags.logOpt),
    maxSize: maxSizeOf(flags.storageOpt),
  };
}

function refuse({ publish, logDriver = 'json-file' }: ContainerFlags): void {
  if (publish.length > 0)
    throw new MicaError(
      'NOT_IMPLEMENTED',
      'ports cannot be published: containers have no network of their own but lo; use --network host, where ports are those of the machine',
    );
  if (logDriver !== 'json-file' && logDriver !== 'local')
    throw new MicaError('NOT_IMPLEMENTED', `log driver ${logDriver}: only json-file is there`);
}

/** Of the writable layer, in bytes; docker's only option of a container's storage. 0 is no limit, as there. */
function maxSizeOf(options: readonly string[]): number | undefined {
  let size: number | undefined;
  for (const option of options) {
    const [name, value] = pair('--storage-opt', option);
    if (name !== 'size')
      throw new MicaError('INVALID_ARGUMENT', `there is no --storage-opt ${name}; there is size`);
    size = parseBytes(value);
  }
  return size === 0 ? undefined : size;
}

function optionsOf(flags: ContainerFlags, words: readonly string[]): ContainerOptions {
  const { entrypoint, securityOpt } = flags;
  const mounts = flags.mount.map(parseMount);
  return {
    entrypoint: entrypoint === undefined ? undefined : [entrypoint],
    command: words,
    env: [...flags.envFile.flatMap(readLines).map(fromHere), ...flags.env.map(fromHere)].filter(
      (entry) => entry !== undefined,
    ),
    workdir: flags.workdir === undefined ? undefined : absolute('--workdir', flags.workdir),
    user: flags.user,
    groups: flags.groupAdd,
    tty: flags.tty,
    // As in docker, an empty name is none.
    hostname: flags.hostname || undefined,
    domainname: flags.domainname,
    network: networkOf(flags.network),
    hosts: flags.addHost,
    dns: flags.dns,
    capAdd: flags.capAdd,
    capDrop: flags.capDrop,
    privileged: flags.privileged,
    ...securityOf(securityOpt),
    readonly: flags.readOnly,
    binds: [...flags.volume.map(parseVolume), ...mounts.flatMap(({ bind }) => bind ?? [])],
    tmpfs: [...flags.tmpfs.map(parseTmpfs), ...mounts.flatMap(({ tmpfs }) => tmpfs ?? [])],
    shmSize: flags.shmSize === undefined ? undefined : parseBytes(flags.shmSize),
    resources: resourcesOf(flags),
    ulimits: flags.ulimit.map(parseUlimit),
    sysctls: Object.fromEntries(flags.sysctl.map((text) => pair('--sysctl', text))),
  };
}

function networkOf(mode: string | undefined): 'none' | 'host' | undefined {
  if (mode === undefined || mode === 'none' || mode === 'host') return mode;
  throw new MicaError(
    'NOT_IMPLEMENTED',
    `network ${mode}: Mica has none (lo alone) and host (the machine's own); bridges and others are out of its scope`,
  );
}

function securityOf(options: readonly string[]): Partial<ContainerOptions> {
  const found: { noNewPrivileges?: boolean; seccomp?: 'unconfined' } = {};
  for (const option of options) {
    if (/^no-new-privileges(?:[:=]true)?$/.test(option)) found.noNewPrivileges = true;
    else if (/^no-new-privileges[:=]false$/.test(option)) found.noNewPrivileges = false;
    else if (/^seccomp[:=]unconfined$/.test(option)) found.seccomp = 'unconfined';
    else if (!/^(?:apparmor[:=]unconfined|label[:=]disable)$/.test(option))
      throw new MicaError(
        'NOT_IMPLEMENTED',
        `--security-opt ${option}: only no-new-privileges and seccomp=unconfined are there`,
      );
  }
  return found;
}

function resourcesOf(flags: ContainerFlags): ResourceOptions | undefined {
  const bytes = (text: string | undefined): number | undefined =>
    text === undefined ? undefined : text === '-1' ? -1 : parseBytes(text);
  const all: ResourceOptions = {
    memory: bytes(flags.memory),
    memoryReservation: bytes(flags.memoryReservation),
    memorySwap: bytes(flags.memorySwap),
    cpus: flags.cpus === undefined ? undefined : positive('--cpus', flags.cpus),
    cpuShares: flags.cpuShares === undefined ? undefined : integer('--cpu-shares', flags.cpuShares),
    cpusetCpus: flags.cpusetCpus,
    pidsLimit: flags.pidsLimit === undefined ? undefined : integer('--pids-limit', flags.pidsLimit),
  };
  return Object.values(all).some((value) => value !== undefined) ? all : undefined;
}

const isPropagation = (word: string): word is NonNullable<Bind['propagation']> =>
  /^r?(?:private|shared|slave)$/.test(word);

/** `FROM:TO[:OPTIONS]`. */
function parseVolume(text: string): Bind {
  const [source = '', target, mode = '', ...more] = text.split(':');
  if (target === undefined || more.length > 0 || target === '')
    throw new MicaError(
      'INVALID_ARGUMENT',
      `volume ${JSON.stringify(text)} is not FROM:TO[:OPTIONS]; volumes without a directory of this machine are not there`,
    );
  if (!source.includes('/') && source !== '.' && source !== '..')
    throw new MicaError(
      'NOT_IMPLEMENTED',
      `volume ${source}: named volumes are out of Mica's scope; give a directory (./${source}:${target})`,
    );
  const words = mode.split(',').filter((one) => one !== '');
  const unknown = words.find(
    (word) => !['ro', 'rw', 'z', 'Z'].includes(word) && !isPropagation(word),
  );
  if (unknown !== undefined)
    throw new MicaError('INVALID_ARGUMENT', `volume ${text}: unknown option ${unknown}`);
  return {
    source: resolve(source),
    target: absolute('--volume', target),
    readonly: words.includes('ro'),
    propagation: words.find(isPropagation),
  };
}

function parseTmpfs(text: string): Tmpfs {
  const at = text.indexOf(':');
  const target = absolute('--tmpfs', at < 0 ? text : text.slice(0, at));
  return at < 0 ? { target } : { target, options: text.slice(at + 1).split(',') };
}

/** `type=bind,source=…,target=…,readonly`. */
function parseMount(text: string): { readonly bind?: Bind; readonly tmpfs?: Tmpfs } {
  const fields = new Map(
    text.split(',').map((part): [string, string] => {
      const at = part.indexOf('=');
      return at < 0 ? [part, 'true'] : [part.slice(0, at), part.slice(at + 1)];
    }),
  );
  const any = (...names: string[]): string | undefined =>
    names.map((name) => fields.get(name)).find((value) => value !== undefined);
  const [type, source] = [fields.get('type'), any('source', 'src')];
  const target = any('target', 'destination', 'dst');
  if (target === undefined)
    throw new MicaError('INVALID_ARGUMENT', `mount ${JSON.stringify(text)} has no target`);
  if (type === 'tmpfs') {
    const options = [
      ...(fields.has('tmpfs-size') ? [`size=${parseBytes(fields.get('tmpfs-size')!)}`] : []),
      ...(fields.has('tmpfs-mode') ? [`mode=${fields.get('tmpfs-mode')}`] : []),
    ];
    return { tmpfs: { target: absolute('--mount', target), options } };
  }
  if (type !== 'bind' || source === undefined)
    throw new MicaError(
      'NOT_IMPLEMENTED',
      `mount ${JSON.stringify(text)}: only type=bind with a source and type=tmpfs are there`,
    );
  const readonly = any('readonly', 'ro') === 'true' || any('readonly', 'ro') === '1';
  const propagation = fields.get('bind-propagation');
  if (propagation !== undefined && !isPropagation(propagation))
    throw new MicaError('INVALID_ARGUMENT', `mount ${text}: unknown propagation ${propagation}`);
  return {
    bind: { source: resolve(source), target: absolute('--mount', target), readonly, propagation },
  };
}

function parseUlimit(text: string): Ulimit {
  const [, name, soft, hard] = /^(\w+)=(-?\d+)(?::(-?\d+))?$/.exec(text) ?? [];
  if (name === undefined)
    throw new MicaError('INVALID_ARGUMENT', `--ulimit ${text} is not NAME=SOFT[:HARD]`);
  return { name, soft: Number(soft), hard: Number(hard ?? soft) };
}

function labelsOf({ label, labelFile }: ContainerFlags): Record<string, string> {
  const all = [...labelFile.flatMap(readLines), ...label];
  return Object.fromEntries(
    all.map((text) => {
      const at = text.indexOf('=');
      return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
    }),
  );
}

function logOf(options: readonly string[]): CreateRequest['log'] {
  const log: { maxSize?: number; maxFiles?: number } = {};
  for (const text of options) {
    const [name, value] = pair('--log-opt', text);
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

/** `NAME` alone takes its value from our environment; where that has none, it is not set. */
export function fromHere(entry: string): string | undefined {
  const text = entry.trimStart();
  if (text === '' || text.startsWith('='))
    throw new MicaError(
      'INVALID_ARGUMENT',
      `environment ${JSON.stringify(entry)} is not NAME[=VALUE]`,
    );
  if (text.includes('=')) return text;
  const value = environmentValue(text);
  return value === undefined ? undefined : `${text}=${value}`;
}

const lines = (path: string): string[] => readFileSync(path, 'utf8').split(/\r?\n/);

/** Lines of a file, without comments and empty ones. */
export function readLines(path: string): string[] {
  try {
    return lines(path).filter((line) => line.trim() !== '' && !line.trimStart().startsWith('#'));
  } catch (error) {
    throw fromNode(error);
  }
}

function checkedSignal(name: string): string {
  if (signalNumber(name) !== undefined) return name;
  throw new MicaError('INVALID_ARGUMENT', `${JSON.stringify(name)} is no signal`);
}

function absolute(flag: string, path: string): string {
  if (isAbsolute(path)) return path;
  throw new MicaError('INVALID_ARGUMENT', `${flag} ${path}: a path in the container is absolute`);
}

function pair(flag: string, text: string): [name: string, value: string] {
  const at = text.indexOf('=');
  if (at > 0) return [text.slice(0, at), text.slice(at + 1)];
  throw new MicaError('INVALID_ARGUMENT', `${flag} ${text} is not NAME=VALUE`);
}

export function integer(flag: string, text: string): number {
  if (/^-?\d{1,15}$/.test(text)) return Number(text);
  throw new MicaError('INVALID_ARGUMENT', `${flag} ${text} is no whole number`);
}

function positive(flag: string, text: string): number {
  if (/^\d{1,9}(?:\.\d+)?$/.test(text) && Number(text) > 0) return Number(text);
  throw new MicaError('INVALID_ARGUMENT', `${flag} ${text} is no number above zero`);
}

import { Root } from '../../fs/root.ts';
import { cgroupPathOf } from '../cgroup/cgroup.ts';
import {
  ALL_RULES,
  askedDevices,
  askedRule,
  DEFAULT_RULES,
  type AskedDevice,
  hostDevices,
  ruleOf,
} from './devices.ts';
import { maskedPaths, READONLY_PATHS } from './hidden-paths.ts';
import type { Device, Linux, Seccomp, Spec } from './oci-spec.ts';
import { mountsOf } from './mounts.ts';
import type { ContainerOptions } from './options.ts';
import { type ProcessInput, processOf } from './process.ts';
import { resourcesOf } from './resources.ts';
import { resolveProfile } from './seccomp/document.ts';
import { seccompProfile, thisMachine } from './seccomp/profile.ts';
import { makeDirectory } from './make-directory.ts';

export interface SpecInput extends ProcessInput {
  readonly id: string;
  /** The container's root, mounted and writable. */
  readonly rootfs: string;
  /** Name in the container → file on this machine. */
  readonly files: Readonly<Record<string, string>>;
  /** The program on this machine that the container begins with, before its own. */
  readonly init?: string | undefined;
}

/** Where docker has it. */
const INIT = '/sbin/docker-init';

/**
 * What an OCI runtime is told about a container. Labels of image and container are *not* among it:
 * runtimes take orders from annotations (`run.oci.*`, `org.systemd.property.*`), and an image must
 * not give any. Creates the working directory where the image lacks it.
 */
export function specOf(input: SpecInput): Spec {
  const { options, host, rootfs, hostname } = input;
  using root = new Root(rootfs);
  const process = processOf(root, input);
  makeDirectory(root, process.cwd, 'working directory');
  const devices = askedDevices(options);
  const { init } = input;
  return {
    ociVersion: '1.0.2',
    process: init === undefined ? process : { ...process, args: [INIT, '--', ...process.args] },
    root: { path: rootfs, readonly: options.readonly ?? false },
    ...(options.uts !== 'host' && { hostname }),
    ...(options.domainname !== undefined && { domainname: options.domainname }),
    mounts: [
      ...mountsOf(options, input.files, host),
      // Nodes cannot be made there.
      ...(host.userNamespace ? devices.map(({ node, source }) => fixed(node.path, source)) : []),
      ...(init === undefined ? [] : [fixed(INIT, init, 'ro')]),
    ],
    annotations: options.annotations,
    linux: linuxOf(input, process.capabilities.bounding, devices),
  };
}

/** 64-bit numbers, which JSON.stringify refuses, are written out. */
export const formatSpec = (document: Spec | Spec['process']): string =>
  JSON.stringify(document, (_, value: unknown) =>
    typeof value === 'bigint' ? raw(value.toString()) : value,
  );

const raw = (JSON as unknown as { readonly rawJSON: (this: void, text: string) => unknown })
  .rawJSON;

const fixed = (target: string, source: string, access = 'rw'): Spec['mounts'][number] => ({
  destination: target,
  type: 'bind',
  source,
  options: ['bind', access, 'rprivate'],
});

function linuxOf(
  input: SpecInput,
  capabilities: readonly string[],
  devices: readonly AskedDevice[],
): Linux {
  const { options, host, id } = input;
  const { privileged = false, network = 'none', resources = {}, deviceRules = [] } = options;
  const hides = !privileged && !options.unhidden;
  const rules = privileged
    ? ALL_RULES
    : [...DEFAULT_RULES, ...devices.map(ruleOf), ...deviceRules.map(askedRule)];
  return {
    namespaces: namespacesOf(input).map((type) => ({ type })),
    ...(host.cgroups !== 'none' && { cgroupsPath: cgroupPathOf(id) }),
    resources: resourcesOf(resources, rules, host),
    devices: host.userNamespace ? [] : nodesOf(privileged, devices),
    maskedPaths: hides ? maskedPaths() : [],
    readonlyPaths: hides ? READONLY_PATHS : [],
    sysctl: { ...(network === 'none' && networkSettings(host)), ...options.sysctls },
    seccomp: privileged ? undefined : filterOf(options, capabilities),
  };
}

/** Those that were asked for take the place of the machine's. */
function nodesOf(privileged: boolean, asked: readonly AskedDevice[]): Device[] {
  const nodes = new Map((privileged ? hostDevices() : []).map((node) => [node.path, node]));
  for (const { node } of asked) nodes.set(node.path, node);
  return [...nodes.values()];
}

function filterOf(
  { seccomp = 'default' }: ContainerOptions,
  capabilities: readonly string[],
): Seccomp | undefined {
  if (seccomp === 'unconfined') return undefined;
  if (seccomp === 'default') return seccompProfile(capabilities);
  return resolveProfile(seccomp, { ...thisMachine(), capabilities });
}

function namespacesOf({ options, host }: SpecInput): string[] {
  const { network, ipc, uts, cgroupns = host.cgroups === 'v2' ? 'private' : 'host' } = options;
  const names = ['pid', 'mount'];
  if (ipc !== 'host') names.push('ipc');
  if (uts !== 'host') names.push('uts');
  if (network !== 'host') names.push('network');
  if (cgroupns === 'private') names.push('cgroup');
  return names;
}

/** Low ports and ping need no privilege in a network of one's own, as with Docker. */
const networkSettings = ({ userNamespace }: SpecInput['host']): Record<string, string> => ({
  'net.ipv4.ip_unprivileged_port_start': '0',
  ...(!userNamespace && { 'net.ipv4.ping_group_range': '0 2147483647' }),
});

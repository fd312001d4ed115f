import { Root } from '../../fs/root.ts';
import { cgroupPathOf } from '../cgroup/cgroup.ts';
import { ALL_RULES, DEFAULT_RULES, hostDevices } from './devices.ts';
import { maskedPaths, READONLY_PATHS } from './hidden-paths.ts';
import type { Linux, Spec } from './oci-spec.ts';
import { mountsOf } from './mounts.ts';
import { type ProcessInput, processOf } from './process.ts';
import { resourcesOf } from './resources.ts';
import { seccompProfile } from './seccomp/profile.ts';
import { makeWorkingDirectory } from './working-directory.ts';

export interface SpecInput extends ProcessInput {
  readonly id: string;
  /** The container's root, mounted and writable. */
  readonly rootfs: string;
  /** Name in the container → file on this machine. */
  readonly files: Readonly<Record<string, string>>;
}

/**
 * What an OCI runtime is told about a container. Labels of image and container are *not* among it:
 * runtimes take orders from annotations (`run.oci.*`, `org.systemd.property.*`), and an image must
 * not give any. Creates the working directory where the image lacks it.
 */
export function specOf(input: SpecInput): Spec {
  const { options, host, rootfs, hostname } = input;
  using root = new Root(rootfs);
  const process = processOf(root, input);
  makeWorkingDirectory(root, process.cwd);
  return {
    ociVersion: '1.0.2',
    process,
    root: { path: rootfs, readonly: options.readonly ?? false },
    hostname,
    ...(options.domainname !== undefined && { domainname: options.domainname }),
    mounts: mountsOf(options, input.files, host),
    linux: linuxOf(input, process.capabilities.bounding),
  };
}

/** 64-bit numbers, which JSON.stringify refuses, are written out. */
export const formatSpec = (document: Spec | Spec['process']): string =>
  JSON.stringify(document, (_, value: unknown) =>
    typeof value === 'bigint' ? raw(value.toString()) : value,
  );

const raw = (JSON as unknown as { readonly rawJSON: (this: void, text: string) => unknown })
  .rawJSON;

function linuxOf(input: SpecInput, capabilities: readonly string[]): Linux {
  const { options, host, id } = input;
  const { privileged = false, network = 'none', resources = {} } = options;
  const filtered = !privileged && options.seccomp !== 'unconfined';
  const rules = privileged ? ALL_RULES : DEFAULT_RULES;
  return {
    namespaces: namespacesOf(input).map((type) => ({ type })),
    ...(host.cgroups !== 'none' && { cgroupsPath: cgroupPathOf(id) }),
    resources: resourcesOf(resources, rules, host),
    devices: privileged && !host.userNamespace ? hostDevices() : [],
    maskedPaths: privileged ? [] : maskedPaths(),
    readonlyPaths: privileged ? [] : READONLY_PATHS,
    sysctl: { ...(network === 'none' && networkSettings(host)), ...options.sysctls },
    seccomp: filtered ? seccompProfile(capabilities) : undefined,
  };
}

function namespacesOf({ options, host }: SpecInput): string[] {
  const names = ['pid', 'ipc', 'uts', 'mount'];
  if (options.network !== 'host') names.push('network');
  if (host.cgroups === 'v2') names.push('cgroup');
  return names;
}

/** Low ports and ping need no privilege in a network of one's own, as with Docker. */
const networkSettings = ({ userNamespace }: SpecInput['host']): Record<string, string> => ({
  'net.ipv4.ip_unprivileged_port_start': '0',
  ...(!userNamespace && { 'net.ipv4.ping_group_range': '0 2147483647' }),
});

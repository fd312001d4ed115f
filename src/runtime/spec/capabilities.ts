import { readFileSync } from 'node:fs';
import { MicaError } from '../../errors.ts';
import type { Capabilities } from './oci-spec.ts';
import type { ContainerOptions } from './options.ts';

/** By number, from 0. @see include/uapi/linux/capability.h of Linux 6.12 */
const NAMES: readonly string[] =
  `CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE
  NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT
  SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE
  AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ
  PERFMON BPF CHECKPOINT_RESTORE`
    .split(/\s+/)
    .map((name) => `CAP_${name}`);

/** Docker's. */
const DEFAULT: ReadonlySet<string> = new Set(
  `CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE
  SYS_CHROOT KILL AUDIT_WRITE`
    .split(/\s+/)
    .map((name) => `CAP_${name}`),
);

/**
 * The capabilities of a container, in the kernel's order: never more than this process could give.
 * Of one that is named on both sides the addition counts, unless it is `ALL`, as with Docker.
 * @throws INVALID_ARGUMENT for a name that is none
 */
export function capabilityNames({
  capAdd = [],
  capDrop = [],
  privileged = false,
}: Pick<ContainerOptions, 'capAdd' | 'capDrop' | 'privileged'>): string[] {
  const available = availableNames();
  if (privileged) return available;
  const [add, drop] = [new Set(capAdd.map(parse)), new Set(capDrop.map(parse))];
  return available.filter((name) => {
    if (add.has('ALL')) return !drop.has(name);
    return add.has(name) || (DEFAULT.has(name) && !drop.has(name) && !drop.has('ALL'));
  });
}

/**
 * None is inheritable, which would give file capabilities to programs that ask for none
 * (CVE-2022-24769); users other than root get none by execve(2).
 */
export const capabilitySets = (names: readonly string[]): Capabilities => ({
  bounding: names,
  effective: names,
  permitted: names,
});

function parse(text: string): string {
  const name = text.toUpperCase();
  if (name === 'ALL') return name;
  const full = name.startsWith('CAP_') ? name : `CAP_${name}`;
  if (NAMES.includes(full)) return full;
  throw new MicaError(
    'INVALID_ARGUMENT',
    `unknown capability ${JSON.stringify(text)}; see capabilities(7) for their names`,
  );
}

/** What the kernel knows, and this process has not given up for good. */
function availableNames(): string[] {
  const status = readFileSync('/proc/self/status', 'latin1');
  const bounding = BigInt(`0x${/^CapBnd:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`);
  return NAMES.filter((_, number) => (bounding >> BigInt(number)) & 1n);
}

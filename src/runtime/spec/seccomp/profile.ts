import { release } from 'node:os';
import type { Seccomp } from '../oci-spec.ts';
import { type Condition, type Rule, RULES } from './rules.ts';

/** What decides which rules hold. */
export interface SeccompFacts {
  readonly capabilities: readonly string[];
  /** Node's name of the architecture. */
  readonly arch: string;
  /** As `uname -r` tells it. */
  readonly kernel: string;
}

const EPERM = 1;

export const thisMachine = (): Omit<SeccompFacts, 'capabilities'> => ({
  arch: process.arch,
  kernel: release(),
});

/** The native system calls, and those of the 32-bit programs that the processor runs, too. */
const ARCHITECTURES: Readonly<Record<string, readonly string[]>> = {
  x64: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86', 'SCMP_ARCH_X32'],
  arm64: ['SCMP_ARCH_AARCH64', 'SCMP_ARCH_ARM'],
};

/** The filter of a container with these capabilities on this machine. */
export function seccompProfile(
  capabilities: readonly string[],
  machine: Omit<SeccompFacts, 'capabilities'> = thisMachine(),
): Seccomp {
  const facts = { ...machine, capabilities };
  return {
    defaultAction: 'SCMP_ACT_ERRNO',
    defaultErrnoRet: EPERM,
    architectures: ARCHITECTURES[machine.arch] ?? [],
    syscalls: RULES.filter((rule) => holds(rule, facts)).map(entryOf),
  };
}

const entryOf = ({ calls, args, errno }: Rule): Seccomp['syscalls'][number] => ({
  names: calls.trim().split(/\s+/),
  ...(errno === undefined
    ? { action: 'SCMP_ACT_ALLOW' }
    : { action: 'SCMP_ACT_ERRNO', errnoRet: errno }),
  ...(args && { args }),
});

function holds({ cap, withoutCap, arch, kernel }: Condition, facts: SeccompFacts): boolean {
  if (cap !== undefined && !facts.capabilities.includes(cap)) return false;
  if (withoutCap !== undefined && facts.capabilities.includes(withoutCap)) return false;
  if (arch !== undefined && arch !== facts.arch) return false;
  return kernel === undefined || isAtLeast(facts.kernel, kernel);
}

export function isAtLeast(version: string, [major, minor]: readonly [number, number]): boolean {
  const [have = 0, haveMinor = 0] = version.split(/[.-]/).map(Number);
  return have > major || (have === major && haveMinor >= minor);
}

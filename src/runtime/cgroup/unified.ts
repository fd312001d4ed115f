import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { read } from './cgroup.ts';

/** What control groups of version 2 can do for a container. */
export interface Unified {
  /** Controllers that groups of ours can have: `memory`, `cpu`, `pids`, … */
  readonly controllers: ReadonlySet<string>;
  readonly swapLimit: boolean;
}

/**
 * What groups below the top of a tree can have. A top that is the machine's own gives all its controllers; within
 * a container it is a group like others, and one that processes are in gives on nothing but the number of processes
 * (the kernel would do the same with processors, but runc takes those for all or none).
 * @see "No Internal Process Constraint" in Documentation/admin-guide/cgroup-v2.rst
 */
export function readUnified(top: string): Unified {
  // Only the machine's own top has no type.
  const isGroup = existsSync(join(top, 'cgroup.type'));
  const isOccupied = isGroup && (read(join(top, 'cgroup.procs')) ?? '').trim() !== '';
  const list = (read(join(top, 'cgroup.controllers')) ?? '').split(/\s+/);
  const controllers = list.filter((name) => name !== '' && (!isOccupied || name === 'pids'));
  return { controllers: new Set(controllers), swapLimit: limitsSwap(top) };
}
/** Some kernels are built without swap; the top itself has no limits that would tell. */
function limitsSwap(top: string): boolean {
  const limited = readdirSync(top, { withFileTypes: true }).find(
    (entry) => entry.isDirectory() && existsSync(join(top, entry.name, 'memory.max')),
  );
  return limited === undefined || existsSync(join(top, limited.name, 'memory.swap.max'));
}

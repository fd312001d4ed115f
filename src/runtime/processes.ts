import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** A process of a container, as the machine sees it. */
export interface ContainerProcess {
  readonly pid: number;
  readonly ppid: number;
  readonly uid: number;
  /** Of the terminal, in the kernel's encoding; 0: none. */
  readonly tty: number;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  /** Of the processor, by user and system, in milliseconds. */
  readonly cpuTime: number;
  /** Arguments with spaces between; in brackets the name of what has none. */
  readonly command: string;
}

/** `USER_HZ`, the same on every machine that Mica runs on. */
const TICKS = 100;

/**
 * The processes of the container whose first one is `pid`, by number: those of its pid namespace,
 * and their children in namespaces below.
 */
export function processesOf(pid: number): ContainerProcess[] {
  const namespace = namespaceOf(pid);
  if (namespace === undefined) return [];
  const bootTime = Number(/^btime (\d+)$/m.exec(readFileSync('/proc/stat', 'latin1'))?.[1]) * 1000;
  const found = new Map<number, ContainerProcess>();
  const others = new Map<number, ContainerProcess>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const info = readProcess(Number(name), bootTime);
    if (info !== undefined)
      (namespaceOf(info.pid) === namespace ? found : others).set(info.pid, info);
  }
  for (let grown = true; grown;) {
    grown = false;
    for (const info of others.values()) {
      if (!found.has(info.ppid)) continue;
      found.set(info.pid, info);
      others.delete(info.pid);
      grown = true;
    }
  }
  return [...found.values()].sort((a, b) => a.pid - b.pid);
}

function namespaceOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`);
  } catch {
    return undefined;
  }
}

/** @see proc_pid_stat(5) for the numbers of the fields, here less 3 */
function readProcess(pid: number, bootTime: number): ContainerProcess | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat
      .slice(stat.lastIndexOf(')') + 2)
      .split(' ')
      .map(Number);
    const status = readFileSync(`/proc/${pid}/status`, 'latin1');
    const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trimEnd();
    const name = stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'));
    return {
      pid,
      ppid: fields[1]!,
      uid: Number(/^Uid:\s*(\d+)/m.exec(status)?.[1]),
      tty: fields[4]!,
      cpuTime: ((fields[11]! + fields[12]!) * 1000) / TICKS,
      startedAt: bootTime + (fields[19]! * 1000) / TICKS,
      command: line === '' ? `[${name}]` : line,
    };
  } catch {
    // It has ended meanwhile.
    return undefined;
  }
}

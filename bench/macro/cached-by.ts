/** How much page cache somebody fills, whatever else the machine does. */
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const V1 = existsSync('/sys/fs/cgroup/memory/cgroup.procs');
const TOP = V1 ? '/sys/fs/cgroup/memory' : '/sys/fs/cgroup';

/** Bytes of page cache that `run` and the programs it starts are charged with: pages that nobody had read before. */
export function cachedBy(run: () => void): number {
  const group = join(TOP, `mica-bench-${process.pid}`);
  mkdirSync(group);
  const home = ownGroup();
  writeFileSync(join(group, 'cgroup.procs'), String(process.pid));
  try {
    run();
    const stat = readFileSync(join(group, 'memory.stat'), 'utf8');
    return Number((V1 ? /^cache (\d+)/m : /^file (\d+)/m).exec(stat)![1]);
  } finally {
    writeFileSync(join(home, 'cgroup.procs'), String(process.pid));
    rmdirSync(group);
  }
}

function ownGroup(): string {
  const line = V1 ? /^\d+:(?:[^:]*,)?memory(?:,[^:]*)?:(.*)$/m : /^0::(.*)$/m;
  return join(TOP, line.exec(readFileSync('/proc/self/cgroup', 'utf8'))![1]!);
}

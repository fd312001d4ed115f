/** Measures whole commands: alternating runs, wall time from outside, CPU of client and daemons by cgroup, peak RSS. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, openSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';

export interface Contender {
  readonly name: string;
  /** Names of {@link startDaemon} daemons that work for it. */
  readonly daemons?: readonly string[];
  /** Brings its store to the state that the case starts from; not timed. */
  readonly prepare?: string;
  /** What is timed. */
  readonly command: string;
  /** What makes it durable; timed, too. */
  readonly flush?: string;
  /** How often `command` does what is asked for; times are of one. Default: 1. */
  readonly operations?: number;
}

export interface Sample {
  readonly round: number;
  /** Seconds, `flush` included. */
  readonly wall: number;
  /** Seconds until `command` was done. */
  readonly unflushed: number;
  /** Seconds of user and system time, daemons included. */
  readonly cpu: number;
  /** MiB: the largest of client and daemon processes. */
  readonly rss: number;
}

/** Medians, but for the memory: its peak. */
export interface Row {
  readonly name: string;
  readonly wall: number;
  readonly unflushed: number;
  readonly cpu: number;
  readonly rss: number;
  readonly samples: readonly Sample[];
  readonly error?: string;
}

const V1 = existsSync('/sys/fs/cgroup/cpuacct');
const GROUPS = V1 ? '/sys/fs/cgroup/cpuacct' : '/sys/fs/cgroup';
const made = new Set<string>();

function group(name: string): string {
  const directory = join(GROUPS, `mica-bench-${process.pid}-${name}`);
  mkdirSync(directory, { recursive: true });
  made.add(directory);
  return directory;
}

function cpuOf(name: string): number {
  const directory = group(name);
  if (V1) return Number(readFileSync(join(directory, 'cpuacct.usage'), 'utf8')) / 1e9;
  return (
    Number(/usage_usec (\d+)/.exec(readFileSync(join(directory, 'cpu.stat'), 'utf8'))?.[1]) / 1e6
  );
}

const tasks = (name: string): string => join(group(name), V1 ? 'tasks' : 'cgroup.procs');
const pids = (name: string): string[] =>
  readFileSync(tasks(name), 'utf8').split('\n').filter(Boolean);

export function shell(command: string): string {
  const run = spawnSync('bash', ['-c', command], { encoding: 'utf8', maxBuffer: 1 << 28 });
  if (run.status !== 0)
    throw new Error(
      `exit ${run.status}: ${command}\n${run.stdout.slice(-800)}${run.stderr.slice(-1600)}`,
    );
  return run.stdout;
}

/** Starts a daemon in a cgroup of its own and waits until `ready` succeeds. */
export function startDaemon(
  name: string,
  command: string,
  ready: string,
  log: string,
): ChildProcess {
  const output = openSync(log, 'w');
  const child = spawn('sh', ['-c', `echo $$ > ${tasks(name)}; exec ${command}`], {
    stdio: ['ignore', output, output],
  });
  for (let tries = 0; tries < 200; tries++) {
    if (spawnSync('sh', ['-c', ready], { stdio: 'ignore' }).status === 0) return child;
    spawnSync('sleep', ['0.1']);
  }
  throw new Error(`${name} did not start; see ${log}`);
}

function peakOf(name: string): number {
  let peak = 0;
  for (const pid of pids(name))
    if (existsSync(`/proc/${pid}/status`))
      peak = Math.max(
        peak,
        Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0),
      );
  return peak / 1024;
}

/** @param timeFile gets the peak memory of its largest process, in KiB */
function inClientGroup(name: string, command: string, timeFile?: string): void {
  const time = timeFile === undefined ? '' : `/usr/bin/time -o ${timeFile} -f %M`;
  const script = `echo $$ > ${tasks('client')}; exec ${time} bash -c "$0"`;
  const run = spawnSync('sh', ['-c', script, command], { encoding: 'utf8', maxBuffer: 1 << 28 });
  if (run.status !== 0)
    throw new Error(
      `${name}: exit ${run.status}\n${run.stdout.slice(-600)}${run.stderr.slice(-1600)}`,
    );
}

function once(contender: Contender, round: number, timeFile: string): Sample {
  if (contender.prepare) shell(contender.prepare);
  shell('sync');
  const daemons = contender.daemons ?? [];
  for (const name of daemons)
    for (const pid of pids(name)) writeFileSync(`/proc/${pid}/clear_refs`, '5');
  const groups = [...daemons, 'client'];
  const before = groups.map(cpuOf);
  const start = process.hrtime.bigint();
  const seconds = (): number => Number(process.hrtime.bigint() - start) / 1e9;
  inClientGroup(contender.name, contender.command, timeFile);
  const unflushed = seconds();
  if (contender.flush) inClientGroup(contender.name, contender.flush);
  const wall = seconds();
  const cpu = groups.map(cpuOf).reduce((sum, value, index) => sum + value - before[index]!, 0);
  const each = contender.operations ?? 1;
  const client = Number(readFileSync(timeFile, 'utf8').trim().split('\n').at(-1)) / 1024;
  const rss = Math.max(client, ...daemons.map(peakOf));
  return { round, wall: wall / each, unflushed: unflushed / each, cpu: cpu / each, rss };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Runs all contenders round after round, each round starting with another one. */
export function alternate(contenders: readonly Contender[], runs: number, work: string): Row[] {
  const samples = contenders.map((): Sample[] => []);
  const errors = new Map<number, string>();
  for (let round = 0; round < runs; round++)
    for (let step = 0; step < contenders.length; step++) {
      const index = (step + round) % contenders.length;
      if (errors.has(index)) continue;
      try {
        const sample = once(contenders[index]!, round, join(work, 'time'));
        samples[index]!.push(sample);
        console.error(`round ${round} ${contenders[index]!.name}: ${sample.wall.toFixed(2)} s`);
      } catch (error) {
        errors.set(index, (error as Error).message);
        console.error(`${contenders[index]!.name}: ${(error as Error).message}`);
      }
    }
  return contenders.map(({ name }, index) => {
    const all = samples[index]!;
    const error = errors.get(index);
    return {
      name,
      wall: median(all.map(({ wall }) => wall)),
      unflushed: median(all.map(({ unflushed }) => unflushed)),
      cpu: median(all.map(({ cpu }) => cpu)),
      rss: Math.max(0, ...all.map(({ rss }) => rss)),
      samples: all,
      ...(error !== undefined && { error }),
    };
  });
}

/** Median over the rounds of `row`'s cost against the least among `others` in the same round. */
export function ratioToBest(
  row: Row,
  others: readonly Row[],
  cost: 'wall' | 'unflushed' | 'cpu' = 'wall',
): number {
  const ratios = row.samples.flatMap((own) => {
    const same = others.flatMap(({ samples }) =>
      samples.filter(({ round }) => round === own.round),
    );
    return same.length > 0 ? [own[cost] / Math.min(...same.map((sample) => sample[cost]))] : [];
  });
  return median(ratios);
}

export function machine(): Record<string, string | number> {
  return {
    kernel: release(),
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.version,
  };
}

process.on('exit', () => {
  for (const directory of made)
    try {
      rmdirSync(directory);
    } catch {
      // a daemon that is still ending keeps its group; the kernel frees it with the last process
    }
});

/** Runs contenders in turn, in this process or in others, and prints medians. */
import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, openSync, readSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { median } from '../macro/harness.ts';

export interface Contender {
  readonly name: string;
  /** What is timed. @returns CPU milliseconds, if they were spent in another process */
  run(): number | void | Promise<number | void>;
}

export interface Rounds {
  /** How much one run does, in `unit`s. */
  readonly amount: number;
  readonly unit: string;
  readonly runs: number;
}

/**
 * Prints a table of medians. CPU time counts all threads, and says more than wall time on a
 * machine that has other things to do.
 */
export async function rounds(
  contenders: readonly Contender[],
  { amount, unit, runs }: Rounds,
): Promise<void> {
  const samples = contenders.map((): { cpu: number; wall: number }[] => []);
  for (let round = 0; round < runs; round++)
    for (let step = 0; step < contenders.length; step++) {
      const index = (step + round) % contenders.length;
      samples[index]!.push(await measure(contenders[index]!));
    }
  console.log(`| | CPU ms | ${unit} a CPU second | of the first | wall ms | least wall ms |`);
  console.log('|---|---|---|---|---|---|');
  const baseline = median(samples[0]!.map(({ cpu }) => cpu));
  for (const [index, all] of samples.entries()) {
    const cpu = median(all.map((sample) => sample.cpu));
    const walls = all.map(({ wall }) => wall);
    const cells = [
      contenders[index]!.name,
      cpu.toFixed(0),
      Math.round((amount / cpu) * 1000).toLocaleString('en'),
      (cpu / baseline).toFixed(2),
      median(walls).toFixed(0),
      Math.min(...walls).toFixed(0),
    ];
    console.log(`| ${cells.join(' | ')} |`);
  }
}

async function measure(contender: Contender): Promise<{ cpu: number; wall: number }> {
  const start = performance.now();
  const before = process.cpuUsage();
  const elsewhere = await contender.run();
  const { user, system } = process.cpuUsage(before);
  return { cpu: elsewhere ?? (user + system) / 1000, wall: performance.now() - start };
}

/** Runs a program, its output thrown away. @returns the CPU milliseconds it took */
export function cpuOf(name: string, args: readonly string[]): number {
  const script = '"$@" >/dev/null && times';
  const { status, stdout } = spawnSync('bash', ['-c', script, 'bash', name, ...args], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`${name} ${args.join(' ')}: exit ${status}`);
  // The second line is that of the children.
  const times = [...stdout.split('\n')[1]!.matchAll(/(\d+)m([\d.]+)s/g)];
  return times.reduce(
    (sum, [, minutes, seconds]) => sum + Number(minutes) * 60_000 + Number(seconds) * 1000,
    0,
  );
}

/** A program as a contender, if it is installed. */
export function program(name: string, args: readonly string[], label: string = name): Contender[] {
  const path = process.env['PATH'] ?? '';
  if (!path.split(delimiter).some((directory) => existsSync(join(directory, name)))) return [];
  return [{ name: label, run: () => cpuOf(name, args) }];
}

/** The chunks of a file, always in the same memory. */
export function* chunksOf(path: string, size: number): Generator<Buffer> {
  const fd = openSync(path, 'r');
  const buffer = Buffer.allocUnsafeSlow(size);
  try {
    for (;;) {
      const read = readSync(fd, buffer, 0, size, null);
      if (read === 0) return;
      yield buffer.subarray(0, read);
    }
  } finally {
    closeSync(fd);
  }
}

/**
 * Question: how long does a container take, as a command, from start to exit?
 * Baseline: podman with the same image; crun alone takes 8 ms.
 * Unit: milliseconds of wall time, median of alternating runs.
 *
 *     node bench/macro/container.bench.ts --image 127.0.0.1:5000/node-app [--root STORE] [--runs 15]
 *
 * Where control groups are hybrid, podman's crun refuses to work: run this in a mount namespace
 * without `/sys/fs/cgroup/unified`, with `--podman-run=--cgroups=disabled`.
 * Mica and podman must have pulled the image; `npm run build` must have been run. As root.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { median } from './harness.ts';

const { values } = parseArgs({
  options: {
    image: { type: 'string' },
    root: { type: 'string' },
    runs: { type: 'string', default: '15' },
    'podman-run': { type: 'string', default: '' },
  },
});
if (values.image === undefined) throw new Error('--image REFERENCE is needed');
const { image } = values;
const mica = [
  process.execPath,
  join(import.meta.dirname, '..', '..', 'dist', 'mica.js'),
  ...(values.root ? ['--root', values.root] : []),
];
const podman = ['podman', '--runtime', 'crun'];
const edit = ['sh', '-c', 'echo changed > /etc/motd'];

/** Runs a command line. @returns milliseconds */
function run([program, ...args]: readonly string[]): number {
  const start = process.hrtime.bigint();
  const { status, stderr } = spawnSync(program!, args, { encoding: 'utf8', maxBuffer: 1 << 28 });
  const time = Number(process.hrtime.bigint() - start) / 1e6;
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${status}\n${stderr}`);
  return time;
}

interface Case {
  readonly name: string;
  readonly before?: readonly string[];
  readonly command: readonly string[];
  readonly after?: readonly string[];
}

const work = (engine: readonly string[], ...network: string[]): Pick<Case, 'before' | 'after'> => ({
  before: [...engine, 'run', '--name', 'bench', ...network, image, ...edit],
  after: [...engine, 'rm', 'bench'],
});
const create = (engine: readonly string[]): Omit<Case, 'name'> => ({
  command: [...engine, 'create', '--name', 'bench', image, 'true'],
  after: [...engine, 'rm', 'bench'],
});

const none = ['--network', 'none', ...values['podman-run'].split(' ').filter(Boolean)];
const CASES: readonly Case[] = [
  { name: 'mica run --rm true', command: [...mica, 'run', '--rm', image, 'true'] },
  { name: 'podman run --rm true', command: [...podman, 'run', '--rm', ...none, image, 'true'] },
  { name: 'mica create', ...create(mica) },
  { name: 'podman create', ...create(podman) },
  { name: 'mica diff', command: [...mica, 'diff', 'bench'], ...work(mica) },
  { name: 'podman diff', command: [...podman, 'diff', 'bench'], ...work(podman, ...none) },
  { name: 'mica commit', command: [...mica, 'commit', 'bench', 'bench:1'], ...work(mica) },
  {
    name: 'podman commit',
    command: [...podman, 'commit', '-q', 'bench', 'bench:1'],
    ...work(podman, ...none),
  },
];

const samples = new Map(CASES.map(({ name }) => [name, [] as number[]]));
for (let round = 0; round < Number(values.runs); round++)
  for (const { name, before, command, after } of CASES) {
    if (before) run(before);
    samples.get(name)!.push(run(command));
    if (after) run(after);
  }
for (const [name, times] of samples) console.log(name.padEnd(24), median(times).toFixed(0), 'ms');

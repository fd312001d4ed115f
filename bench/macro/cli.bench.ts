/**
 * Question: how long does a command take that only looks, as a process, from start to exit?
 * Baseline: `node -e 0`, what any Node program takes at least.
 * Unit: milliseconds of wall time, median of the runs.
 *
 *     node bench/macro/cli.bench.ts --image 127.0.0.1:5000/node-app --path /etc/passwd [--root STORE] [--runs 15]
 *
 * The image must have been pulled; `npm run build` must have been run.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { median } from './harness.ts';

const { values } = parseArgs({
  options: {
    image: { type: 'string' },
    path: { type: 'string', default: '/etc/passwd' },
    directory: { type: 'string', default: '/' },
    root: { type: 'string' },
    runs: { type: 'string', default: '15' },
  },
});
if (values.image === undefined) throw new Error('--image REFERENCE is needed');
const { image, path, directory } = values;
const mica = [
  join(import.meta.dirname, '..', '..', 'dist', 'mica.js'),
  ...(values.root ? ['--root', values.root] : []),
];

const CASES: readonly (readonly [name: string, args: readonly string[]])[] = [
  ['node -e 0', ['-e', '0']],
  ['mica version', [...mica, 'version']],
  ['mica image inspect', [...mica, 'image', 'inspect', image]],
  ['mica images', [...mica, 'images']],
  ['mica why', [...mica, 'why', image, path]],
  ['mica ls', [...mica, 'ls', image, directory]],
  ['mica ls -R', [...mica, 'ls', '-R', image, '/']],
  ['mica layers', [...mica, 'layers', image]],
  ['mica pull, up to date', [...mica, 'pull', '-q', image]],
];

const samples = new Map(CASES.map(([name]) => [name, [] as number[]]));
for (let round = 0; round < Number(values.runs); round++)
  for (const [name, args] of CASES) {
    const start = process.hrtime.bigint();
    const { status, stderr } = spawnSync(process.execPath, args, {
      encoding: 'utf8',
      maxBuffer: 1 << 28,
    });
    if (status !== 0) throw new Error(`${name}: exit ${status}\n${stderr}`);
    samples.get(name)!.push(Number(process.hrtime.bigint() - start) / 1e6);
  }
console.log('| command | median ms | least ms |\n|---|---|---|');
for (const [name, all] of samples)
  console.log(`| ${name} | ${median(all).toFixed(0)} | ${Math.min(...all).toFixed(0)} |`);

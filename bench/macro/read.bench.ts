/**
 * Question: what does it cost to read an image through a driver's mount?
 * Baseline: the same tree in a plain directory on ext4.
 * Unit: seconds of wall time and CPU time, medians; ratios are taken within a round.
 *
 *     sudo unshare -m node bench/macro/read.bench.ts --work DIRECTORY --image 127.0.0.1:5000/node-app [--drivers erofs,erofs+directio,overlay2] [--runs 5] \
 *       [--result FILE.json]
 *
 * DIRECTORY needs room for the image once for each driver and once more. All lie on one ext4 on a loop device with direct I/O. `find` prints all attributes; `read` is `cat` of all
 * files. Each round begins cold: the file system was unmounted. `warm` is the second time.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openEngine } from '../../src/engine/open.ts';
import { coldDisk } from './cold-disk.ts';
import { machine, median, shell } from './harness.ts';
import { optionsOf } from './subject.ts';
import { timed } from './timed.ts';

const { values } = parseArgs({
  options: {
    work: { type: 'string' },
    image: { type: 'string' },
    drivers: { type: 'string', default: 'erofs,erofs+directio,overlay2' },
    runs: { type: 'string', default: '5' },
    result: { type: 'string' },
  },
});
if (values.work === undefined) throw new Error('--work DIRECTORY is needed');
if (values.image === undefined) throw new Error('--image REFERENCE is needed');
const work = join(values.work, `read-${process.pid}`);
const subjects = values.drivers.split(',');
const image = values.image;

const FIND = `find "$0" -printf '%p %y %m %U %G %s %T@ %l\\n' > /dev/null`;
const READ = 'find "$0" -type f -print0 | xargs -0 cat > /dev/null';
const CASES = {
  'find, cold': FIND,
  'read, cold': READ,
  'find, warm': FIND,
  'read, warm': READ,
} as const;
type Case = keyof typeof CASES;

interface Sample {
  readonly round: number;
  readonly subject: string;
  readonly name: Case;
  readonly wall: number;
  readonly cpu: number;
}
const PLAIN = 'directory';

mkdirSync(work, { recursive: true });
const samples: Sample[] = [];
{
  using undo = new DisposableStack();
  undo.defer(() => rmSync(work, { recursive: true, force: true }));
  using disk = coldDisk(work, 16);
  const root = (subject: string): string => join(disk.path, subject);
  const target = (subject: string): string =>
    subject === PLAIN ? root(PLAIN) : join(work, subject);
  for (const subject of subjects) {
    mkdirSync(root(subject), { mode: 0o700 });
    mkdirSync(target(subject));
    await using engine = await openEngine(optionsOf(subject, root(subject)));
    await engine.pull(image);
  }
  /** Mounts all of them; ends them with what it returns. */
  const mountAll = async (): Promise<AsyncDisposableStack> => {
    const mounts = new AsyncDisposableStack();
    for (const subject of subjects) {
      const engine = mounts.use(await openEngine(optionsOf(subject, root(subject))));
      await engine.mount(image, { target: target(subject) });
      mounts.defer(() => engine.unmount(target(subject)).then(() => undefined));
    }
    return mounts;
  };
  {
    await using _ = await mountAll();
    shell(`cp -a ${target(subjects[0]!)} ${root(PLAIN)}`);
  }
  const all = [PLAIN, ...subjects];
  for (let round = 0; round < Number(values.runs); round++) {
    disk.forget();
    await using _ = await mountAll();
    const turn = all.map((_subject, step) => all[(step + round) % all.length]!);
    for (const [name, script] of Object.entries(CASES) as [Case, string][])
      for (const subject of turn)
        samples.push({ round, subject, name, ...timed(script, target(subject)) });
    console.error(`round ${round}`);
  }
  console.log(table(all));
}
if (values.result !== undefined)
  writeFileSync(
    values.result,
    `${JSON.stringify({ commit: process.env['MICA_BENCH_COMMIT'], machine: machine(), image, samples }, null, 1)}\n`,
  );

function table(all: readonly string[]): string {
  const names = Object.keys(CASES) as Case[];
  const of = (subject: string, name: Case): Sample[] =>
    samples.filter((sample) => sample.subject === subject && sample.name === name);
  const cell = (subject: string, name: Case): string => {
    const [own, plain] = [of(subject, name), of(PLAIN, name)];
    const number = (cost: 'wall' | 'cpu'): string => {
      const ratio = median(own.map((sample, i) => sample[cost] / plain[i]![cost]));
      return `${median(own.map((sample) => sample[cost])).toFixed(2)} (${ratio.toFixed(2)})`;
    };
    return `${number('wall')} · ${number('cpu')}`;
  };
  const head = ['wall s · CPU s, (of the directory)', ...names];
  const rows = all.map((subject) => [subject, ...names.map((name) => cell(subject, name))]);
  return [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
}

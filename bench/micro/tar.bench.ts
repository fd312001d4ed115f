/**
 * Question: how fast are the members of an archive found, warm and in a process that just started?
 * Baseline: `tar -t` (GNU), which also prints their names.
 * Unit: members a second of CPU time, of a file in the page cache.
 *
 *     node bench/micro/tar.bench.ts [ARCHIVE]
 */
import { mkdtempDisposableSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cpuOf, program, rounds } from './rounds.ts';
import { countMembers } from './count-members.ts';
import { writeSample } from './sample.ts';

async function compare(title: string, path: string): Promise<void> {
  const members = countMembers(path);
  console.log(`\n${title}: ${members} members\n`);
  const warm = { name: 'TarReader, warm', run: () => void countMembers(path) };
  const once = (file: string) => () =>
    cpuOf(process.execPath, [import.meta.filename, '--once', file]);
  const cold = { name: 'a process that reads once', run: once(path) };
  const idle = { name: 'a process that reads nothing', run: once('/dev/null') };
  const gnu = program('tar', ['-tf', path], 'GNU tar -t');
  await rounds([warm, ...gnu, cold, idle], { amount: members, unit: 'members', runs: 9 });
}

const [first, second] = process.argv.slice(2);
if (first === '--once') countMembers(second!);
else if (first !== undefined) await compare(first, first);
else {
  using directory = mkdtempDisposableSync(join(tmpdir(), 'mica-bench-'));
  const path = join(directory.path, 'sample.tar');
  writeSample(path, { files: 20_000 });
  await compare('ustar', path);
  writeSample(path, { files: 20_000, extended: true });
  await compare('pax, times in nanoseconds', path);
}

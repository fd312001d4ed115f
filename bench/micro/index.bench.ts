/**
 * Question: how long does it take to make a layer's index, and how large is it?
 * Baseline: `mkfs.erofs --tar=i -b512` (erofs-utils 1.7 or newer), which jumps over the files' data in an
 * archive on disk, and must read them from a pipe, as Mica reads a layer that is still arriving.
 * Unit: members a second of CPU time, of a file in the page cache; bytes of index.
 *
 *     node bench/micro/index.bench.ts [ARCHIVE …]
 */
import { mkdtempDisposableSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeIndex } from '../../src/erofs/write.ts';
import { Changeset } from '../../src/layer/changeset/changeset.ts';
import { nothingBelow } from '../../src/layer/changeset/lower.ts';
import { noSink } from '../../src/layer/changeset/sink.ts';
import { TarReader } from '../../src/tar/read.ts';
import { type Contender, chunksOf, cpuOf, program, rounds } from './rounds.ts';
import { countMembers } from './count-members.ts';
import { writeSample } from './sample.ts';

function index(path: string): { size: number; inodes: number } {
  const changeset = new Changeset(noSink, { lower: nothingBelow });
  const reader = new TarReader(changeset);
  for (const chunk of chunksOf(path, 256 * 1024)) reader.write(chunk);
  reader.end();
  changeset.finish();
  const devices = [{ tag: '', size: statSync(path).size }];
  return writeIndex(changeset.root, () => {}, { devices });
}

/** mkfs.erofs on the archive, and on what a pipe brings; the pipe's other end is counted, too. */
function theirs(path: string, image: string): Contender[] {
  const mkfs = `rm -f ${image} && mkfs.erofs --tar=i --quiet -b512 ${image}`;
  const [fromFile] = program('mkfs.erofs', [], 'mkfs.erofs --tar=i, the archive');
  if (!fromFile) return [];
  const run = (script: string) => () => cpuOf('bash', ['-c', script]);
  return [
    { ...fromFile, run: run(`${mkfs} ${path}`) },
    { name: 'mkfs.erofs --tar=i, a pipe', run: run(`cat ${path} | (${mkfs})`) },
  ];
}

async function compare(title: string, path: string, work: string): Promise<void> {
  const image = join(work, 'theirs.erofs');
  const members = countMembers(path);
  const { size, inodes } = index(path);
  const peers = theirs(path, image);
  const once = (mode: string) => () => cpuOf(process.execPath, [import.meta.filename, mode, path]);
  console.log(`\n${title}: ${members} members, ${statSync(path).size} bytes\n`);
  await rounds(
    [
      ...peers,
      { name: 'Mica, warm', run: () => void index(path) },
      { name: 'Mica, parsing alone, warm', run: () => void countMembers(path) },
      { name: 'Mica, a process that does it once', run: once('--index') },
      { name: 'a process that parses once', run: once('--parse') },
    ],
    { amount: members, unit: 'members', runs: 9 },
  );
  const share = (bytes: number): string => ((100 * bytes) / statSync(path).size).toFixed(2);
  console.log(`\nMica: ${size} bytes, ${share(size)} % of the archive, ${inodes} inodes`);
  if (peers.length === 0) return;
  const other = statSync(image).size;
  console.log(
    `mkfs.erofs: ${other} bytes, ${share(other)} %, ${(other / size).toFixed(2)} times as many`,
  );
}

const [first, ...more] = process.argv.slice(2);
if (first === '--index') index(more[0]!);
else if (first === '--parse') countMembers(more[0]!);
else {
  using directory = mkdtempDisposableSync(join(tmpdir(), 'mica-bench-'));
  if (first !== undefined)
    for (const path of [first, ...more]) await compare(path, path, directory.path);
  else {
    const path = join(directory.path, 'sample.tar');
    writeSample(path, { files: 20_000 });
    await compare('ustar', path, directory.path);
    writeSample(path, { files: 20_000, extended: true });
    await compare('pax, times in nanoseconds', path, directory.path);
  }
}

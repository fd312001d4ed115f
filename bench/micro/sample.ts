/** An archive that is the same on every machine: much like a layer of node_modules. */
import { closeSync, openSync, writeSync } from 'node:fs';
import { TarWriter } from '../../src/tar/write.ts';

const WORDS = 'const function return import export await class extends null true this new'.split(
  ' ',
);

/** Numbers of a generator with a seed (mulberry32), 0 to 1. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Text that compresses about as source code does. */
function text(next: () => number, size: number): Buffer {
  const parts: string[] = [];
  for (let length = 0; length < size;) {
    const word = next() < 0.6 ? WORDS[Math.floor(next() * WORDS.length)]! : next().toString(36);
    parts.push(word);
    length += word.length + 1;
  }
  return Buffer.from(parts.join(' ')).subarray(0, size);
}

export interface SampleOptions {
  readonly files: number;
  /** Whether every member has an extended header, as with `tar --format=posix`. */
  readonly extended?: boolean;
}

/** Writes the archive to a file. @returns how many members it has */
export function writeSample(path: string, { files, extended = false }: SampleOptions): number {
  const next = random(42);
  const pool = text(next, 4_000_000);
  const fd = openSync(path, 'w');
  const writer = new TarWriter((chunk) => void writeSync(fd, chunk));
  const common = {
    linkName: '',
    uid: 0,
    gid: 0,
    mtime: 1_600_000_000,
    mtimeNs: extended ? 123_456_789 : 0,
    deviceMajor: 0,
    deviceMinor: 0,
    xattrs: undefined,
    sparse: undefined,
  };
  let members = 0;
  for (let index = 0; index < files; index++) {
    const directory = `app/node_modules/package-${Math.floor(index / 20)}/lib/`;
    if (index % 20 === 0) {
      writer.entry({ ...common, type: 'directory', name: directory, mode: 0o755, size: 0 });
      members++;
    }
    const size = Math.floor(next() ** 4 * 60_000);
    const start = Math.floor(next() * (pool.length - size));
    const name = `${directory}module-${index}.js`;
    writer.entry({ ...common, type: 'file', name, mode: 0o644, size });
    writer.data(pool.subarray(start, start + size));
    members++;
  }
  writer.finish();
  closeSync(fd);
  return members;
}

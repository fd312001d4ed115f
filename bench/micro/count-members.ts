import { TarReader } from '../../src/tar/read.ts';
import { chunksOf } from './rounds.ts';

/** Reads an archive, and does nothing with it. */
export function countMembers(path: string): number {
  let members = 0;
  const reader = new TarReader({
    entry: () => void members++,
    data() {},
    end() {},
  });
  for (const chunk of chunksOf(path, 256 * 1024)) reader.write(chunk);
  reader.end();
  return members;
}

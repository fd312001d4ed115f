import { BLOCK, paddingOf } from './header.ts';
import { bad } from './number.ts';
import type { SparseMap } from './sparse.ts';

/** How the data of a sparse file lie in an archive. */
export interface SparseLayout {
  /** What stands before them, in GNU's format 1.0. */
  readonly map: Buffer;
  /** In order: bytes that the caller gives, and zeros in between. */
  readonly parts: readonly { readonly isData: boolean; readonly length: number }[];
  /** Of all parts. */
  readonly stored: number;
}

/**
 * Lays out runs so that each takes whole blocks, the last one excepted: GNU tar begins each run at
 * a new block, while Go has them follow each other. Where a run does not, zeros of the hole after
 * it are stored, too.
 * @see https://www.gnu.org/software/tar/manual/html_node/PAX-1.html
 */
export function sparseLayout(runs: SparseMap, size: number): SparseLayout {
  const stored: { offset: number; end: number }[] = [];
  const parts: { isData: boolean; length: number }[] = [];
  let last: { offset: number; end: number } | undefined;
  let end = 0;
  for (const { offset, length } of runs) {
    if (offset < end || length < 0 || length > size - offset)
      throw bad('a sparse map', 'overlaps, goes backwards or beyond the end of its file');
    if (length === 0) continue;
    const gap = offset - end;
    if (last !== undefined && offset < last.end) parts.push({ isData: false, length: gap });
    else {
      if (last !== undefined && last.end > end)
        parts.push({ isData: false, length: last.end - end });
      stored.push((last = { offset, end: offset }));
    }
    parts.push({ isData: true, length });
    end = offset + length;
    last.end = Math.min(end + paddingOf(end - last.offset), size);
  }
  if (last !== undefined && last.end > end) parts.push({ isData: false, length: last.end - end });
  const sum = parts.reduce((total, { length }) => total + length, 0);
  return { map: mapBefore(stored, size), parts, stored: sum };
}

/** An empty run marks the end of the file, as GNU tar has it. */
function mapBefore(runs: readonly { offset: number; end: number }[], size: number): Buffer {
  const all = [...runs, { offset: size, end: size }];
  const numbers = [all.length, ...all.flatMap((run) => [run.offset, run.end - run.offset])];
  const text = Buffer.from(`${numbers.join('\n')}\n`, 'latin1');
  return Buffer.concat([text], Math.ceil(text.length / BLOCK) * BLOCK);
}

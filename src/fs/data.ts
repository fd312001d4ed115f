import { copyFileRange, ficlone, ftruncate, nextData, pread, pwrite } from '../sys/file.ts';

const BUFFER = 1 << 20;
let buffer: Buffer | undefined;

/**
 * Copies the content of the open file `from`, `size` bytes long, into the empty open file `to`:
 * shared blocks where the file system can, else inside the kernel, else through memory. Holes stay holes.
 */
export function copyData(from: number, to: number, size: number, subject: string): void {
  if (size === 0 || ficlone(to, from)) return;
  for (let run = nextData(from, 0, size); run; run = nextData(from, run.end, size))
    copyRun(from, to, run.start, run.end, subject);
  ftruncate(to, size, subject);
}

function copyRun(from: number, to: number, start: number, end: number, subject: string): void {
  for (let at = start; at < end;) {
    const inside = copyFileRange(from, at, to, at, end - at);
    // Nothing copied before the end: some file systems say so instead of failing.
    const copied = inside > 0 ? inside : copyThrough(from, to, at, end, subject);
    // It is shorter than it was, or than its file system says (sysfs).
    if (copied === 0) return;
    at += copied;
  }
}

function copyThrough(from: number, to: number, at: number, end: number, subject: string): number {
  buffer ??= Buffer.allocUnsafeSlow(BUFFER);
  const piece = buffer.subarray(0, Math.min(BUFFER, end - at));
  const read = pread(from, piece, at, subject);
  pwrite(to, piece.subarray(0, read), at, subject);
  return read;
}

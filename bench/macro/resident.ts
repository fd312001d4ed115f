/** Which pages of files are in memory, as seen through one mount of them (mincore(2), by fincore(1)). */
import { execFileSync, spawnSync } from 'node:child_process';
import { join } from 'node:path';

export interface Files {
  /** Relative to where they are mounted. */
  readonly paths: readonly string[];
  /** Of all, in bytes. */
  readonly size: number;
}

export function filesBelow(target: string, directory: string): Files {
  const out = execFileSync('find', [directory, '-type', 'f', '-printf', '%s %p\n'], {
    cwd: target,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  const lines = out.trimEnd().split('\n');
  return {
    paths: lines.map((line) => line.slice(line.indexOf(' ') + 1)),
    size: lines.reduce((sum, line) => sum + parseInt(line, 10), 0),
  };
}

export function readAll(target: string, directory: string): void {
  const script = 'find "$0" -type f -print0 | xargs -0 cat > /dev/null';
  const at = join(target, directory);
  const { status, stderr } = spawnSync('bash', ['-c', script, at], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`reading ${at}: ${stderr}`);
}

/** Percent of the files' bytes that lie in resident pages. */
export function resident(target: string, { paths, size }: Files): number {
  let bytes = 0;
  for (let at = 0; at < paths.length; at += 1000) {
    const some = paths.slice(at, at + 1000).map((path) => join(target, path));
    const out = execFileSync('fincore', ['-b', '-n', '-o', 'RES', '--', ...some], {
      encoding: 'utf8',
    });
    for (const line of out.split('\n')) bytes += Number(line);
  }
  return (100 * bytes) / size;
}

import { readdirSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { tryLock } from '../sys/alive.ts';

/** As much as goes at once, in bytes. */
const PIECE = 2 * 1024 * 1024;

/**
 * Cuts the ends off partial downloads of the store at `root` that nobody works on, the largest first:
 * whoever needs them fetches the rest again.
 * @returns whether there is more room now
 */
export function cutPartials(root: string): boolean {
  const ingests = join(root, 'content', 'ingest');
  let cut = 0;
  for (const { directory, size } of partialsIn(ingests)) {
    if (cut >= PIECE) break;
    using lock = tryLock(join(directory, 'lock'));
    if (lock === undefined) continue;
    const left = Math.max(0, size - (PIECE - cut));
    truncateSync(join(directory, 'data'), left);
    cut += size - left;
  }
  return cut > 0;
}

function partialsIn(ingests: string): { readonly directory: string; readonly size: number }[] {
  return readdirSync(ingests)
    .map((name) => {
      const directory = join(ingests, name);
      const stats = statSync(join(directory, 'data'), { throwIfNoEntry: false });
      return { directory, size: stats?.size ?? 0 };
    })
    .filter(({ size }) => size > 0)
    .toSorted((one, other) => other.size - one.size);
}

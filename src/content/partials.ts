import { rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { isDigest } from '../oci/digest.ts';
import { isHeld } from '../sys/alive.ts';
import { namesIn, sizeOf } from './blob-files.ts';
import type { PartialDownload } from './content.ts';
import { Flight } from './flight.ts';

/** Downloads that have not ended, or will never: resumable as long as they are here. */
export async function* listPartials(content: string): AsyncIterable<PartialDownload> {
  for (const name of namesIn(join(content, 'ingest'))) {
    const digest = name.replace('-', ':');
    if (!isDigest(digest)) continue;
    const directory = join(content, 'ingest', name);
    const stats = statSync(join(directory, 'data'), { throwIfNoEntry: false });
    if (stats === undefined) continue;
    yield {
      digest,
      size: stats.size,
      updatedAt: stats.mtime,
      active: isHeld(join(directory, 'lock')),
    };
  }
}

/**
 * Removes what cannot be resumed: downloads without a byte, bytes whose digest nobody knows, and
 * the name of a spooled archive, which loses it in a moment anyway.
 */
export function dropDeadIngests(content: string): void {
  for (const name of namesIn(join(content, 'ingest'))) {
    const directory = join(content, 'ingest', name);
    if (name.startsWith('.')) {
      rmSync(directory, { force: true });
      continue;
    }
    if (!name.startsWith('new-') && sizeOf(join(directory, 'data')) !== undefined) continue;
    using flight = Flight.tryTake(directory);
    if (name.startsWith('new-')) flight?.removeData();
  }
}

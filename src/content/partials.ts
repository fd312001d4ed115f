import { statSync } from 'node:fs';
import { join } from 'node:path';
import { isDigest } from '../oci/digest.ts';
import { isHeld } from '../sys/alive.ts';
import { namesIn } from './blob-files.ts';
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

/** Removes what cannot be resumed: bytes whose digest was not known when their process died. */
export function dropDeadIngests(content: string): void {
  for (const name of namesIn(join(content, 'ingest'))) {
    if (!name.startsWith('new-')) continue;
    using flight = Flight.tryTake(join(content, 'ingest', name));
    flight?.removeData();
  }
}

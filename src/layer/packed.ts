import { createReadStream, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Abortable } from '../io/bytes.ts';
import { Pace } from '../io/pace.ts';
import { type DiffId, sha256 } from '../oci/digest.ts';
import type { LayerFacts } from '../snapshot/driver.ts';
import { fromNode } from '../sys/errno.ts';
import { TarReader } from '../tar/read.ts';
import { Changeset } from './changeset/changeset.ts';
import { noSink } from './changeset/sink.ts';
import { INDEX_FILE, TAR_FILE } from './index-output.ts';
import { TarOutput } from './tar-output.ts';

/** Whether the directory holds a layer that was packed to the end. */
export const isPacked = (directory: string): boolean =>
  [TAR_FILE, INDEX_FILE].every((name) => existsSync(join(directory, name)));

/** What packing told, told again by what it left. */
export async function packedFacts(
  directory: string,
  { signal }: Abortable = {},
): Promise<LayerFacts> {
  const changeset = new Changeset(noSink, { lower: undefined });
  const reader = new TarReader(changeset);
  using tar = new TarOutput(reader, 'sha256');
  const pace = new Pace(signal);
  try {
    const file = createReadStream(join(directory, TAR_FILE), { highWaterMark: 1 << 20 });
    for await (const chunk of file as AsyncIterable<Buffer>) {
      tar.write(chunk);
      if (pace.due) await pace.rest();
    }
    const diffId = tar.end() as DiffId;
    reader.end();
    changeset.finish();
    const index = readFileSync(join(directory, INDEX_FILE));
    return {
      diffId,
      dependent: changeset.dependent,
      tarSize: tar.size,
      indexSize: index.length,
      indexDigest: sha256(index),
      stats: { ...changeset.stats },
    };
  } catch (error) {
    throw fromNode(error);
  }
}

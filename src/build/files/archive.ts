import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import { indexBytes } from '../../erofs/write.ts';
import { MicaError } from '../../errors.ts';
import type { Abortable, Bytes } from '../../io/bytes.ts';
import { Changeset } from '../../layer/changeset/changeset.ts';
import { nothingBelow } from '../../layer/changeset/lower.ts';
import { noSink } from '../../layer/changeset/sink.ts';
import { writeAll } from '../../io/write-all.ts';
import { WHITEOUT_PREFIX } from '../../oci/whiteout.ts';
import { fromNode } from '../../sys/errno.ts';
import type { Entry, EntryHandler } from '../../tar/entry.ts';
import { TarReader } from '../../tar/read.ts';
import { tarData, tarFile } from '../../union/tar-data.ts';
import type { UnionTree } from '../../union/tree.ts';
import { openUnion } from '../../union/union.ts';
import { baseOf, toText } from './source-tree.ts';

/**
 * Reads a tar archive, not compressed, into the file `path`, and shows what is in it. Names that
 * lead out of it lead nowhere; a link on the way to a member stays inside.
 * @param name - for messages
 * @throws INVALID_ARGUMENT for what is damaged, or refers to files that it does not have
 */
export async function openArchive(
  archive: Bytes,
  path: string,
  name: string,
  { signal }: Abortable = {},
): Promise<UnionTree> {
  const changeset = new Changeset(noSink, { lower: nothingBelow });
  const reader = new TarReader(withoutMarks(changeset, name));
  const hash = createHash('sha256');
  let size = 0;
  const fd = openSync(path, 'wx+', 0o600);
  try {
    for await (const chunk of archive) {
      signal?.throwIfAborted();
      hash.update(chunk);
      size += chunk.length;
      reader.write(chunk);
      writeAll(fd, chunk, path);
    }
    reader.end();
    changeset.finish();
    const read = (_: number, at: number, into: Uint8Array): void => {
      readSync(fd, into, 0, into.length, at);
    };
    const index = indexBytes(changeset.root, {
      devices: [{ tag: hash.digest('hex'), size }],
      read,
    });
    return openUnion([{ index, data: tarData(tarFile(path)) }]);
  } catch (error) {
    throw fromNode(error);
  } finally {
    closeSync(fd);
  }
}

/** Without those at its end. Not by a pattern, which looks at each of very many slashes from all of them. */
function withoutSlashes(name: string): string {
  let end = name.length;
  while (name[end - 1] === '/') end--;
  return name.slice(0, end);
}

/** Names that mean a deletion in a layer mean nothing in other archives, and could not be copied. */
function withoutMarks(handler: EntryHandler, name: string): EntryHandler {
  return {
    entry(entry: Entry) {
      const member = withoutSlashes(entry.name);
      if (baseOf(member).startsWith(WHITEOUT_PREFIX))
        throw new MicaError(
          'INVALID_ARGUMENT',
          `${name}: ${toText(member)}: in a layer this name says that another file is deleted`,
        );
      handler.entry(entry);
    },
    data: (chunk) => handler.data(chunk),
    end: () => handler.end(),
  };
}

import { posix } from 'node:path';
import { MicaError } from '../../errors.ts';
import type { Abortable } from '../../io/bytes.ts';
import type { Entry, EntryHandler } from '../../tar/entry.ts';
import { TarReader } from '../../tar/read.ts';
import type { ArchiveFile } from './archive-file.ts';

/** Where the bytes of a file are in an archive. */
export interface ArchiveMember {
  readonly offset: number;
  /** In bytes. */
  readonly size: number;
}

/** An image has at most a few hundred members; archives of many images have some thousands. */
const MAX_MEMBERS = 100_000;
const MAX_NAME = 4096;
/** Docker links a layer that it has written before to the first one; nobody links to links for long. */
const MAX_LINKS = 16;

/** Large enough to hold the headers between two blobs, small enough not to read the blobs. */
const CHUNK = 16 * 1024;
const ZEROS = Buffer.alloc(1 << 20);

/** What a path stands for; a link by the path that it leads to. */
type Found = ArchiveMember | { readonly link: string };

/**
 * The table of contents of an archive, from its headers: the data of long members are not read.
 * Where a path occurs twice, the last one counts, as it does when an archive is unpacked.
 */
export class Members {
  readonly #paths = new Map<string, Found>();
  readonly #twice = new Set<string>();

  /** @throws INVALID_ARGUMENT for what is no archive, or has members outside of it · DATA_LOSS · RESOURCE_EXHAUSTED */
  static async read(file: ArchiveFile, { signal }: Abortable = {}): Promise<Members> {
    const members = new Members();
    let dataEnd = 0;
    const handler: EntryHandler = {
      entry: (entry) => {
        dataEnd = entry.dataOffset + entry.dataSize;
        members.#add(entry);
      },
      data: () => {},
      end: () => {},
    };
    const reader = new TarReader(handler);
    for (let at = 0; at < file.size;) {
      signal?.throwIfAborted();
      const chunk = await file.start(at, Math.min(CHUNK, file.size - at));
      if (chunk.byteLength === 0) break;
      reader.write(chunk);
      at += chunk.byteLength;
      if (dataEnd > file.size)
        throw new MicaError('DATA_LOSS', `the archive ends in the middle of a member`);
      // The reader counts bytes, and nobody looks at these.
      for (; at < dataEnd; at += Math.min(ZEROS.byteLength, dataEnd - at))
        reader.write(ZEROS.subarray(0, Math.min(ZEROS.byteLength, dataEnd - at)));
    }
    reader.end();
    return members;
  }

  /** The file at a path, links followed. */
  find(path: string): ArchiveMember | undefined {
    let at = normalised(path);
    for (let links = 0; links < MAX_LINKS; links++) {
      const found = this.#paths.get(at);
      if (found === undefined || 'offset' in found) return found;
      at = found.link;
    }
    return undefined;
  }

  /** A file of which there is only one: programs differ on which of two is meant. */
  findOnly(path: string): ArchiveMember | undefined {
    if (this.#twice.has(path))
      throw new MicaError('INVALID_ARGUMENT', `the archive has two members named ${path}`);
    return this.find(path);
  }

  #add({ type, name, linkName, dataOffset, dataSize, sparse }: Entry): void {
    if (type === 'directory') return;
    const path = normalised(Buffer.from(name, 'latin1').toString());
    if (this.#paths.has(path)) this.#twice.add(path);
    if (this.#paths.size === MAX_MEMBERS)
      throw new MicaError(
        'RESOURCE_EXHAUSTED',
        `the archive has more than ${MAX_MEMBERS} members; is it an archive of images?`,
      );
    if (type === 'file' && sparse === undefined)
      this.#paths.set(path, { offset: dataOffset, size: dataSize });
    else if (type === 'link' || type === 'symlink') {
      const target = Buffer.from(linkName, 'latin1').toString();
      const base = type === 'link' || target.startsWith('/') ? '' : posix.dirname(path);
      this.#paths.set(path, { link: normalised(posix.join(base, target)) });
    }
  }
}

function normalised(name: string): string {
  const path = posix.normalize(name).replace(/^\/+/, '').replace(/\/+$/, '');
  if (path === '..' || path.startsWith('../') || name.length > MAX_NAME)
    throw new MicaError(
      'INVALID_ARGUMENT',
      `the archive has a member or link that leads out of it: ${JSON.stringify(name.slice(0, 200))}`,
    );
  return path;
}

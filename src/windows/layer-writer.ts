import { closeSync, copyFileSync, futimesSync, linkSync, mkdirSync, openSync } from 'node:fs';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { removeTree } from '../fs/remove.ts';
import { writeAll } from '../io/write-all.ts';
import { hasKernel } from '../sys/binding.ts';
import { errnoOf, fromNode } from '../sys/errno.ts';
import { futimens } from '../sys/file.ts';
import type { Time } from '../tar/pax.ts';
import type { Entry, EntryHandler } from '../tar/entry.ts';
import { STREAM, streamHeader } from './backup-stream.ts';
import { type FileFacts, leadingStreams } from './file-facts.ts';
import { KeptHeaders } from './kept-headers.ts';
import { isFramed, LAYER_FILES, placeOf, TOMBSTONES, TOMBSTONES_HEADER } from './layer-files.ts';
import { type LayerMember, LayerRules } from './layer-rules.ts';
import { type Link, writeLinks } from './links.ts';
import { DIRECTORY_SUFFIX } from './names.ts';

export interface LayerWriterOptions {
  /** Directories of the layers below, nearest first; `undefined`: not known. */
  readonly parents: readonly string[] | undefined;
}

/** Small pieces are written together, in bytes. */
const TOGETHER = 64 * 1024;

/**
 * Makes a layer's directory of its archive, in the transport format of Windows: each file with its
 * attributes and streams in one, directories with theirs in a file beside them, deleted names in a
 * list. No link is made that leads anywhere, whatever the archive says.
 */
export class LayerWriter implements EntryHandler, Disposable {
  readonly #directory: string;
  readonly #transport: string;
  readonly #parents: readonly string[] | undefined;
  readonly #rules: LayerRules;
  readonly #headers: KeptHeaders;
  readonly #tombstones: string[] = [];
  readonly #links: Link[] = [];
  /** The file that streams are still added to. */
  #fd: number | undefined;
  #mtime = { seconds: 0, nanoseconds: 0 };
  #name = '';
  /** Where the file is. */
  #place = '';
  #waiting: Buffer[] = [];
  #size = 0;

  /** @param directory - existing; what an earlier attempt left there goes away */
  constructor(directory: string, { parents }: LayerWriterOptions) {
    this.#directory = directory;
    this.#parents = parents;
    this.#rules = new LayerRules({ isBase: parents && parents.length === 0 });
    for (const name of Object.values(LAYER_FILES)) remove(join(directory, name));
    this.#transport = join(directory, LAYER_FILES.transport);
    mkdir(this.#transport);
    this.#headers = new KeptHeaders(join(directory, LAYER_FILES.headers));
  }

  entry(entry: Entry): void {
    const member = this.#rules.accept(entry);
    if (member.kind === 'stream')
      this.#headers.data(`${member.path}:${member.stream}`, entry.dataOffset, entry.dataSize);
    else if (member.kind !== 'tombstone' && member.kind !== 'link')
      this.#headers.data(member.path, entry.dataOffset, entry.dataSize);
    try {
      this.#take(member, entry);
    } catch (error) {
      throw fromNode(error);
    }
  }

  data(chunk: Uint8Array): void {
    if (chunk.length < TOGETHER) return this.#write(Buffer.from(chunk));
    this.#flush();
    this.#writeAll(chunk);
  }

  end(): void {}

  /** Feeds `reader`, whose handler this is, and keeps what is not in the files. */
  keeping(reader: { write(chunk: Uint8Array): void }): { write(chunk: Uint8Array): void } {
    return {
      write: (chunk) => {
        reader.write(chunk);
        this.#headers.take(chunk);
      },
    };
  }

  /** The archive is over. @throws INVALID_ARGUMENT when it was no layer of Windows */
  finish(): void {
    this.#rules.finish();
    this.#close();
    this.#headers.finish();
    const lines = [TOMBSTONES_HEADER, ...this.#tombstones.map((path) => `\\${path}`), ''];
    const keep = (name: string, text: string): void =>
      writeFileSync(join(this.#directory, name), text);
    try {
      keep(join(LAYER_FILES.transport, TOMBSTONES), lines.join('\n'));
      writeLinks(this.#directory, this.#links);
      // As Docker writes it: nothing below is null.
      if (this.#parents !== undefined)
        keep(LAYER_FILES.chain, JSON.stringify(this.#parents.length === 0 ? null : this.#parents));
    } catch (error) {
      throw fromNode(error);
    }
  }

  [Symbol.dispose](): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
    this.#headers[Symbol.dispose]();
  }

  #take(member: LayerMember, entry: Entry): void {
    switch (member.kind) {
      case 'stream':
        return this.#write(
          streamHeader(STREAM.alternate, entry.size, `:${textOf(member.stream)}:$DATA`),
        );
      case 'tombstone':
        // Those of the utility VM are in the archive's headers; it has no list of its own.
        if (member.path.startsWith('Files/'))
          this.#tombstones.push(textOf(member.path.slice(6)).replaceAll('/', '\\'));
        return undefined;
      case 'link':
        this.#close();
        return this.#link(member.path, member.target, member.isHere);
      default:
        this.#close();
        return this.#open(member.path, member.kind === 'directory', member.facts, entry);
    }
  }

  #open(path: string, isDirectory: boolean, facts: FileFacts, entry: Entry): void {
    // Also for a link to a directory, which Windows wants to find there, and into which nothing comes.
    if (isDirectory) mkdirSync(placeOf(this.#transport, path), { mode: 0o755 });
    const place = placeOf(this.#transport, isDirectory ? path + DIRECTORY_SUFFIX : path);
    this.#fd = openSync(place, 'wx', 0o600);
    this.#place = place.toString();
    this.#mtime = { seconds: entry.mtime, nanoseconds: entry.mtimeNs };
    this.#name = path;
    if (!isFramed(path)) return;
    const attributes = Buffer.alloc(4);
    attributes.writeUInt32LE(facts.attributes);
    this.#write(attributes);
    this.#write(leadingStreams(facts));
    if (entry.type === 'file') this.#write(streamHeader(STREAM.data, entry.size));
  }

  #link(path: string, target: string, isHere: boolean): void {
    this.#links.push([path, target]);
    const places = isHere ? [this.#directory] : (this.#parents ?? []);
    for (const directory of places) {
      const [from, to] = [
        placeOf(join(directory, LAYER_FILES.transport), target),
        placeOf(this.#transport, path),
      ];
      try {
        return linkSync(from, to);
      } catch (error) {
        if (errnoOf(error) === 'ENOENT') continue;
        // Too many links, or none here.
        return copyFileSync(from, to);
      }
    }
  }

  #write(bytes: Buffer): void {
    this.#waiting.push(bytes);
    this.#size += bytes.length;
    if (this.#size >= TOGETHER) this.#flush();
  }

  #flush(): void {
    if (this.#size === 0) return;
    const bytes = this.#waiting.length === 1 ? this.#waiting[0]! : Buffer.concat(this.#waiting);
    this.#waiting = [];
    this.#size = 0;
    this.#writeAll(bytes);
  }

  #writeAll(bytes: Uint8Array): void {
    writeAll(this.#fd!, bytes, this.#place);
  }

  #close(): void {
    if (this.#fd === undefined) return;
    this.#flush();
    setTime(this.#fd, this.#mtime, this.#name);
    closeSync(this.#fd);
    this.#fd = undefined;
  }
}

/** Node itself is off by a hundred nanoseconds, which is what Windows counts in. */
function setTime(fd: number, { seconds, nanoseconds }: Time, name: string): void {
  if (hasKernel()) futimens(fd, seconds, nanoseconds, name);
  else futimesSync(fd, seconds + nanoseconds / 1e9, seconds + nanoseconds / 1e9);
}

function mkdir(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    throw fromNode(error);
  }
}

function remove(path: string): void {
  if (hasKernel()) removeTree(path);
  else rmSync(path, { recursive: true, force: true });
}

const textOf = (bytes: string): string => Buffer.from(bytes, 'latin1').toString();

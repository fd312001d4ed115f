import type { Bytes } from '../io/bytes.ts';
import { asRead } from './as-read.ts';
import { encodeMember, encodeSparse, type NewEntry } from './encode.ts';
import type { EntryHandler } from './entry.ts';
import { BLOCK, paddingOf } from './header.ts';
import { bad } from './number.ts';
import { sparseLayout, type SparseLayout } from './sparse-layout.ts';

export type { NewEntry };

const ZEROS = new Uint8Array(BLOCK);

/**
 * Writes an archive: ustar where it suffices, a pax extended header where it does not.
 * Deterministic: the same entries give the same bytes, and nothing of this machine or moment is in
 * them. Names of directories get the slash that readers expect at their end.
 */
export class TarWriter {
  readonly #sink: (chunk: Uint8Array) => void;
  readonly #handler: EntryHandler | undefined;
  /** Bytes that the sink was given. */
  #position = 0;
  /** Data that are still to come; of a sparse file, with zeros in between. */
  #parts: SparseLayout['parts'] = [];
  #part = 0;
  /** Bytes until the part ends. */
  #remaining = 0;
  #padding = 0;

  /**
   * @param sink - gets buffers to keep, but not to change; chunks of data as they were given
   * @param handler - is told what a reader of the archive would tell
   */
  constructor(sink: (chunk: Uint8Array) => void, handler?: EntryHandler) {
    this.#sink = sink;
    this.#handler = handler;
  }

  /** Begins a member. Of a sparse file, the data of its runs follow, joined. */
  entry(entry: NewEntry): void {
    this.#checkComplete();
    const { type, name } = entry;
    if (type === 'file') this.#file(entry);
    else if (type !== 'directory' || name.endsWith('/'))
      this.#begin(entry, name, encodeMember(entry, name, 0));
    else this.#begin(entry, `${name}/`, encodeMember(entry, `${name}/`, 0));
  }

  /** The next bytes of the member's data. */
  data(chunk: Uint8Array): void {
    let rest = chunk;
    while (rest.length > 0) {
      if (this.#remaining === 0) throw bad('a member', 'has more data than its size says');
      const piece = rest.subarray(0, this.#remaining);
      rest = rest.subarray(piece.length);
      this.#remaining -= piece.length;
      this.#data(piece);
      if (this.#remaining === 0) {
        this.#part++;
        this.#zeros();
      }
    }
  }

  /** Ends the archive. */
  finish(): void {
    this.#checkComplete();
    this.#give(new Uint8Array(2 * BLOCK));
  }

  #file(entry: NewEntry): void {
    const { name, size } = entry;
    const layout = entry.sparse && sparseLayout(entry.sparse, size);
    const head = layout
      ? encodeSparse(entry, layout.stored, layout.map)
      : encodeMember(entry, name, size);
    this.#begin(entry, name, head);
    this.#parts = layout?.parts ?? (size === 0 ? [] : [{ isData: true, length: size }]);
    this.#part = 0;
    this.#padding = paddingOf(layout?.stored ?? size);
    this.#zeros();
  }

  #begin(entry: NewEntry, name: string, head: Buffer): void {
    this.#give(head);
    this.#handler?.entry(asRead(entry, name, head, this.#position));
  }

  /** Goes on to the next part that is data. */
  #zeros(): void {
    let part = this.#parts[this.#part];
    for (; part?.isData === false; part = this.#parts[++this.#part])
      this.#data(new Uint8Array(part.length));
    this.#remaining = part?.length ?? 0;
    if (part !== undefined) return;
    this.#handler?.end();
    if (this.#padding > 0) this.#give(ZEROS.subarray(0, this.#padding));
  }

  #data(chunk: Uint8Array): void {
    this.#give(chunk);
    this.#handler?.data(chunk);
  }

  #give(chunk: Uint8Array): void {
    this.#sink(chunk);
    this.#position += chunk.length;
  }

  #checkComplete(): void {
    if (this.#remaining > 0) throw bad('a member', `lacks ${this.#remaining} bytes of data`);
  }
}

/** A member with its data: of a sparse file, its runs joined. */
export type NewMember = NewEntry & { readonly content: Uint8Array | Bytes };

/** The archive of `members`, in their order. */
export async function* writeTar(members: Iterable<NewMember> | AsyncIterable<NewMember>): Bytes {
  const ready: Uint8Array[] = [];
  const writer = new TarWriter((chunk) => ready.push(chunk));
  for await (const member of members) {
    writer.entry(member);
    const { content } = member;
    for await (const chunk of content instanceof Uint8Array ? [content] : content) {
      writer.data(chunk);
      yield* ready.splice(0);
    }
  }
  writer.finish();
  yield* ready;
}

import type { Bytes } from '../io/bytes.ts';
import { encodeMember, encodeSparse, type NewEntry } from './encode.ts';
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
  /** Data that are still to come; of a sparse file, with zeros in between. */
  #parts: SparseLayout['parts'] = [];
  #part = 0;
  /** Bytes until the part ends. */
  #remaining = 0;
  #padding = 0;

  /** @param sink - gets buffers to keep, but not to change; chunks of data as they were given */
  constructor(sink: (chunk: Uint8Array) => void) {
    this.#sink = sink;
  }

  /** Begins a member. Of a sparse file, the data of its runs follow, joined. */
  entry(entry: NewEntry): void {
    this.#checkComplete();
    if (entry.type === 'file') this.#file(entry);
    else if (entry.type !== 'directory' || entry.name.endsWith('/'))
      this.#sink(encodeMember(entry, entry.name, 0));
    else this.#sink(encodeMember(entry, `${entry.name}/`, 0));
  }

  /** The next bytes of the member's data. */
  data(chunk: Uint8Array): void {
    let rest = chunk;
    while (rest.length > 0) {
      if (this.#remaining === 0) throw bad('a member', 'has more data than its size says');
      const piece = rest.subarray(0, this.#remaining);
      rest = rest.subarray(piece.length);
      this.#remaining -= piece.length;
      this.#sink(piece);
      if (this.#remaining === 0) {
        this.#part++;
        this.#zeros();
      }
    }
  }

  /** Ends the archive. */
  finish(): void {
    this.#checkComplete();
    this.#sink(new Uint8Array(2 * BLOCK));
  }

  #file(entry: NewEntry): void {
    const layout = entry.sparse && sparseLayout(entry.sparse, entry.size);
    this.#sink(
      layout
        ? encodeSparse(entry, layout.stored, layout.map)
        : encodeMember(entry, entry.name, entry.size),
    );
    const plain = entry.size === 0 ? [] : [{ isData: true, length: entry.size }];
    this.#parts = layout?.parts ?? plain;
    this.#part = 0;
    this.#padding = paddingOf(layout?.stored ?? entry.size);
    this.#zeros();
  }

  /** Goes on to the next part that is data. */
  #zeros(): void {
    let part = this.#parts[this.#part];
    for (; part?.isData === false; part = this.#parts[++this.#part])
      this.#sink(new Uint8Array(part.length));
    this.#remaining = part?.length ?? 0;
    if (part === undefined && this.#padding > 0) this.#sink(ZEROS.subarray(0, this.#padding));
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

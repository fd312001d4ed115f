import type { Entry } from '../tar/entry.ts';
import { BLOCK, checksumOf, paddingOf } from '../tar/header.ts';
import { TarReader } from '../tar/read.ts';

/** Archives made by hand, for what no writer writes. Text is one byte a character. */

/** Two blocks of zeros. */
export const END: Buffer = Buffer.alloc(2 * BLOCK);

export interface HeaderOptions {
  readonly name?: string;
  readonly type?: string;
  /** In bytes, or the field as it is to be. */
  readonly size?: number | string;
  readonly linkName?: string;
  readonly magic?: string;
  /** Changes the block before it gets its checksum. */
  readonly patch?: (block: Buffer) => void;
}

/** A header; ustar unless it has another magic number. */
export function header({
  name = 'f',
  type = '0',
  size = 0,
  linkName = '',
  magic = 'ustar\u000000',
  patch = () => {},
}: HeaderOptions = {}): Buffer {
  const block = Buffer.alloc(BLOCK);
  const field = (text: string, offset: number): number => block.write(text, offset, 'latin1');
  field(name, 0);
  field('0000644\0', 100);
  field('0000000\x000000000\0', 108);
  field(typeof size === 'string' ? size : `${size.toString(8).padStart(11, '0')}\0`, 124);
  field('00000000000\0', 136);
  field(type, 156);
  field(linkName, 157);
  field(magic, 257);
  patch(block);
  return signed(block);
}

/** Sets the checksum. */
export function signed(block: Buffer): Buffer {
  block.write(`${checksumOf(block).toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

/** Bytes filled up to whole blocks. */
export function padded(text: string): Buffer {
  return Buffer.concat([Buffer.from(text, 'latin1'), Buffer.alloc(paddingOf(text.length))]);
}

/** A member that only describes the next one: `x`, `g`, `L`, `K` … */
export const special = (type: string, body: string): Buffer =>
  Buffer.concat([header({ name: 'special', type, size: body.length }), padded(body)]);

/** An extended header of `key=value` records. */
export const pax = (...records: readonly string[]): Buffer => special('x', paxBody(...records));

export const paxBody = (...records: readonly string[]): string =>
  records
    .map((record) => {
      let length = record.length + 3;
      while (`${length} ${record}\n`.length !== length) length++;
      return `${length} ${record}\n`;
    })
    .join('');

/** A file of format ustar with its content. */
export const member = (name: string, content = ''): Buffer =>
  Buffer.concat([header({ name, size: content.length }), padded(content)]);

/** What a reader told of one member. */
export interface Seen {
  readonly entry: Entry;
  readonly content: Buffer;
}

/** Reads a whole archive, cut into pieces of the given sizes, over and over. */
export function readAll(archive: Uint8Array, sizes: readonly number[] = [archive.length]): Seen[] {
  const seen: Seen[] = [];
  let chunks: Buffer[] | undefined;
  const reader = new TarReader({
    entry(entry) {
      if (chunks !== undefined) throw new Error('an entry before the end of the last');
      if (entry.type === 'file') chunks = [];
      seen.push({ entry, content: Buffer.alloc(0) });
    },
    data(chunk) {
      chunks!.push(Buffer.from(chunk));
    },
    end() {
      seen.push({ ...seen.pop()!, content: Buffer.concat(chunks!) });
      chunks = undefined;
    },
  });
  let at = 0;
  for (let turn = 0; at < archive.length; turn++) {
    const size = Math.max(1, sizes[turn % sizes.length]!);
    reader.write(archive.subarray(at, at + size));
    at += size;
  }
  reader.end();
  return seen;
}

/** The only member of an archive that ends after it. */
export function readOne(...parts: readonly Uint8Array[]): Seen {
  const [seen, ...more] = readAll(Buffer.concat([...parts, END]));
  if (seen === undefined || more.length > 0) throw new Error('not exactly one member');
  return seen;
}

/** A file as it is read, holes filled with zeros. */
export function expanded({ entry, content }: Seen): Buffer {
  const bytes = Buffer.alloc(entry.size);
  let from = 0;
  for (const { offset, length } of entry.sparse ?? [{ offset: 0, length: entry.size }]) {
    content.copy(bytes, offset, from, from + length);
    from += length;
  }
  return bytes;
}

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32c } from './crc32c.ts';

/** Of RFC 3720, B.4, which inverts the result. */
const VECTORS: readonly (readonly [title: string, bytes: Uint8Array, inverted: number])[] = [
  ['32 zeros', Buffer.alloc(32), 0x8a9136aa],
  ['32 ones', Buffer.alloc(32, 0xff), 0x62a8ab43],
  ['bytes that count up', Uint8Array.from({ length: 32 }, (_, i) => i), 0x46dd794e],
  ['bytes that count down', Uint8Array.from({ length: 32 }, (_, i) => 31 - i), 0x113fdb5c],
  ['nothing', new Uint8Array(), 0],
];

for (const [title, bytes, inverted] of VECTORS)
  test(`the checksum of ${title} is that of iSCSI before its inversion`, () => {
    assert.equal(crc32c(bytes), ~inverted >>> 0);
  });

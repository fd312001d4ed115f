import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { sniffCompression } from './compression.ts';

const OCI = 'application/vnd.oci.image.layer.v1.tar';

test('the first bytes tell the compression, whatever the media type says', () => {
  assert.equal(sniffCompression(gzipSync('x'), `${OCI}+zstd`), 'gzip');
  assert.equal(sniffCompression(zstdCompressSync('x'), `${OCI}+gzip`), 'zstd');
  assert.equal(sniffCompression(Buffer.from('usr/bin\0\0\0'), `${OCI}+gzip`), 'none');
  assert.equal(sniffCompression(new Uint8Array(512)), 'none');
});

test('the media type counts only while there are too few bytes', () => {
  assert.equal(sniffCompression(new Uint8Array(), `${OCI}+gzip`), 'gzip');
  assert.equal(sniffCompression(Buffer.from('ab'), `${OCI}+zstd`), 'zstd');
  assert.equal(sniffCompression(new Uint8Array(), OCI), 'none');
  assert.equal(sniffCompression(new Uint8Array()), 'none');
});

const FOREIGN: readonly (readonly [string, readonly number[]])[] = [
  ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0, 0, 4, 0xe6, 0xd6]],
  ['bzip2', [0x42, 0x5a, 0x68, 0x39, 0x31, 0x41, 0x59, 0x26, 0x53, 0x59]],
  ['lz4', [0x04, 0x22, 0x4d, 0x18, 0x64, 0x40, 0xa7, 0, 0, 0]],
  ['lzip', [0x4c, 0x5a, 0x49, 0x50, 0x01, 0x0c, 0, 0, 0, 0]],
  ['compress', [0x1f, 0x9d, 0x90, 0x61, 0x08, 0, 0, 0, 0, 0]],
];
for (const [name, magic] of FOREIGN)
  test(`a layer compressed with ${name} is refused by name`, () => {
    assert.throws(() => sniffCompression(Buffer.from(magic)), {
      code: 'NOT_IMPLEMENTED',
      message: new RegExp(name),
    });
  });

test('an archive whose first name looks like a magic number is an archive', () => {
  for (const name of ['BZh9/file\0', 'LZIP\0\0\0\0\0\0'])
    assert.equal(sniffCompression(Buffer.from(name)), 'none');
});

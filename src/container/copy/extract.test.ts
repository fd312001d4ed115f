import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { TarWriter } from '../../tar/write.ts';
import { needs } from '../../testing/need.ts';
import { extractInto } from './extract.ts';

function hardLink(name: string, linkName: string): Buffer {
  const chunks: Uint8Array[] = [];
  const tar = new TarWriter((chunk) => chunks.push(Buffer.from(chunk)));
  tar.entry({
    type: 'link',
    name,
    linkName,
    mode: 0o644,
    uid: 0,
    gid: 0,
    size: 0,
    mtime: 0,
    mtimeNs: 0,
    deviceMajor: 0,
    deviceMinor: 0,
    xattrs: undefined,
    sparse: undefined,
  });
  tar.finish();
  return Buffer.concat(chunks);
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

for (const linkName of ['', '.', './', '/', '../file', 'd/../../file'])
  test(
    `a hard link to ${JSON.stringify(linkName)} is refused, and replaces nothing`,
    { skip: needs('linux') },
    async () => {
      await using top = await mkdtempDisposable(join(tmpdir(), 'mica-extract-'));
      const there = join(top.path, 'there');
      writeFileSync(there, 'stays');
      await assert.rejects(extractInto(top.path, '/', once(hardLink('there', linkName))), {
        code: 'INVALID_ARGUMENT',
      });
      assert.equal(readFileSync(there, 'utf8'), 'stays');
    },
  );

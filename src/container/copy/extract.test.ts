import assert from 'node:assert/strict';
import { linkSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { MicaError } from '../../errors.ts';
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

for (const [what, linkName] of [
  ['a file that is not there', 'missing'],
  ['a file in a directory that is not there', 'none/missing'],
  ['a directory', 'directory'],
] as const)
  test(`a hard link to ${what} fails, and replaces nothing`, { skip: needs('linux') }, async () => {
    await using top = await mkdtempDisposable(join(tmpdir(), 'mica-extract-'));
    mkdirSync(join(top.path, 'directory'));
    writeFileSync(join(top.path, 'there'), 'stays');
    await assert.rejects(extractInto(top.path, '/', once(hardLink('there', linkName))), MicaError);
    assert.equal(readFileSync(join(top.path, 'there'), 'utf8'), 'stays');
    assert.deepEqual(readdirSync(top.path).sort(), ['directory', 'there']);
  });

for (const [what, name] of [
  ['another file', 'other'],
  ['another name of the file', 'again'],
  ['the file itself', 'file'],
] as const)
  test(
    `a hard link in the place of ${what} is one afterwards`,
    { skip: needs('linux') },
    async () => {
      await using top = await mkdtempDisposable(join(tmpdir(), 'mica-extract-'));
      const [file, other, again] = ['file', 'other', 'again'].map((one) => join(top.path, one));
      writeFileSync(file!, 'content');
      writeFileSync(other!, 'goes');
      linkSync(file!, again!);
      await extractInto(top.path, '/', once(hardLink(name, 'file')));
      assert.equal(statSync(join(top.path, name)).ino, statSync(file!).ino);
      assert.deepEqual(readdirSync(top.path).sort(), ['again', 'file', 'other']);
    },
  );

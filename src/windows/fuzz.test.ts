import assert from 'node:assert/strict';
import { mkdir, mkdtempDisposable, readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { isCode, MicaError } from '../errors.ts';
import { TarReader } from '../tar/read.ts';
import { checksumOf } from '../tar/header.ts';
import { windowsTar, type WindowsMember } from '../testing/windows-layer.ts';
import { exportLayer } from './export-layer.ts';
import { LayerWriter } from './layer-writer.ts';
import { layerTar } from './layer-tar.ts';

const NAMES = [
  'a',
  'B',
  'ä',
  'dir',
  'x:s',
  '..',
  'c:',
  'con',
  '\\',
  '.wh.a',
  'a.$wcidirs$',
  'Files',
  '',
];
const KINDS = ['file', 'directory', 'symlink', 'link', 'tombstone'] as const;

const path = fc
  .tuple(
    fc.constantFrom('Files', 'Hives', 'UtilityVM/Files', 'Windows', ''),
    fc.array(fc.constantFrom(...NAMES), { minLength: 1, maxLength: 3 }),
  )
  .map(([area, names]) => [area, ...names].join('/'));
const member: fc.Arbitrary<WindowsMember> = fc.record({
  path,
  kind: fc.constantFrom(...KINDS),
  content: fc.string({ maxLength: 5 }),
  target: fc.oneof(path, fc.constantFrom('..\\..\\x', '/etc/passwd', 'C:\\a')),
  attributes: fc.constantFrom(0, 0x10, 0xffffffff),
});

function unpack(directory: string, tar: Buffer): void {
  using writer = new LayerWriter(directory, { parents: [join(directory, '../below')] });
  const reader = new TarReader(writer);
  const into = writer.keeping(reader);
  for (let at = 0; at < tar.length; at += 1500) into.write(tar.subarray(at, at + 1500));
  reader.end();
  writer.finish();
}

const collected = async (bytes: AsyncIterable<Uint8Array>): Promise<Buffer> =>
  Buffer.concat(await Array.fromAsync(bytes));

/** Either it is refused with a code, or the archive comes back; and nothing lies beside the layer. */
async function judge(tar: Buffer): Promise<boolean> {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'windows-fuzz-'));
  const directory = join(dir.path, 'layer');
  await mkdir(directory);
  try {
    unpack(directory, tar);
  } catch (error) {
    if (!(error instanceof MicaError)) throw error;
    assert.notEqual(error.code, 'INTERNAL', error.message);
    assert.deepEqual(await readdir(dir.path), ['layer']);
    return false;
  }
  assert.ok((await collected(layerTar(directory))).equals(tar));
  assert.deepEqual(await readdir(dir.path), ['layer']);
  assert.ok(
    (await readdir(directory)).every((name) =>
      ['fs', 'layer.headers', 'layerchain.json', 'links.json'].includes(name),
    ),
  );
  try {
    await collected(exportLayer(join(directory, 'fs')));
  } catch (error) {
    // A utility VM is not exported.
    assert.ok(isCode(error, 'NOT_IMPLEMENTED'), String(error));
  }
  return true;
}

test('whatever members an archive has, it is refused or comes back, and stays in its directory', async () => {
  let accepted = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(member, { maxLength: 4 }), async (members) => {
      const areas = ['Files', 'Hives', 'UtilityVM', 'UtilityVM/Files'];
      if (await judge(windowsTar(members, { areas }))) accepted++;
    }),
    { numRuns: 150 },
  );
  assert.ok(accepted > 10, `${accepted} of 150`);
});

test('a damaged archive is refused with a code or comes back as it is', async () => {
  const good = windowsTar([
    { path: 'Files/d', kind: 'directory' },
    {
      path: 'Files/d/a',
      content: 'content',
      streams: { s: 'x' },
      extended: { E: Buffer.from('v') },
    },
    { path: 'Files/l', kind: 'symlink', target: 'C:\\d', mountPoint: true, attributes: 0x10 },
    { path: 'Files/k', kind: 'link', target: 'Files/d/a' },
  ]);
  await fc.assert(
    fc.asyncProperty(
      fc.nat(good.length - 1),
      fc.integer({ min: 1, max: 255 }),
      fc.boolean(),
      async (at, change, sign) => {
        const bad = Buffer.from(good);
        bad[at]! ^= change;
        const start = at - (at % 512);
        const block = bad.subarray(start, start + 512);
        // With a right checksum the damage gets further.
        if (sign && block.toString('latin1', 257, 262) === 'ustar')
          block.write(`${checksumOf(block).toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
        await judge(bad);
      },
    ),
    { numRuns: 200 },
  );
});

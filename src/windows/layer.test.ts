import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable, readFile, readdir, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { sha256 } from '../oci/digest.ts';
import { readTar } from '../tar/read-tar.ts';
import { TarReader } from '../tar/read.ts';
import { saidOfLimit, underFileLimit } from '../testing/file-limit.ts';
import { windowsTar, type WindowsMember } from '../testing/windows-layer.ts';
import { exportLayer } from './export-layer.ts';
import { encodeGoMember } from './go-tar.ts';
import { LAYER_FILES } from './layer-files.ts';
import { LayerRules } from './layer-rules.ts';
import { LayerWriter } from './layer-writer.ts';
import { layerTar } from './layer-tar.ts';

const MEMBERS: readonly WindowsMember[] = [
  { path: 'Files/Program Files', kind: 'directory', attributes: 1 },
  {
    path: 'Files/Program Files/app.exe',
    content: 'MZ'.repeat(40_000),
    streams: { 'Zone.Identifier': '[ZoneTransfer]\r\nZoneId=3\r\n', empty: '' },
    extended: { '$KERNEL.PURGE.ESBCACHE': Buffer.from([1, 2, 3]), A: Buffer.from('a') },
  },
  { path: 'Files/Program Files/empty.txt', attributes: 2 },
  {
    path: 'Files/Übermut.txt',
    content: 'umlaut',
    mtime: { seconds: 1_600_000_000, nanoseconds: 0 },
  },
  {
    path: 'Files/junction',
    kind: 'symlink',
    target: 'C:\\Program Files',
    mountPoint: true,
    attributes: 0x10,
  },
  { path: 'Files/link.txt', kind: 'symlink', target: '.\\Übermut.txt' },
  { path: 'Files/long', kind: 'directory' },
  { path: `Files/long/${'x'.repeat(120)}`, content: 'long' },
  {
    path: 'Hives/System_Delta',
    content: 'regf',
    mtime: { seconds: 1_500_000_000, nanoseconds: 500 },
  },
];

async function unpacked(
  directory: string,
  tar: Buffer,
  {
    parents = [],
    piece = 777,
  }: { readonly parents?: readonly string[]; readonly piece?: number } = {},
): Promise<void> {
  using writer = new LayerWriter(directory, { parents });
  const reader = new TarReader(writer);
  const into = writer.keeping(reader);
  for (let at = 0; at < tar.length; at += piece) into.write(tar.subarray(at, at + piece));
  reader.end();
  writer.finish();
}

const collected = async (bytes: AsyncIterable<Uint8Array>): Promise<Buffer> =>
  Buffer.concat(await Array.fromAsync(bytes));

async function within(use: (directory: string) => Promise<void>): Promise<void> {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'windows-layer-'));
  await use(dir.path);
}

for (const piece of [512, 777, 4096, 10_000_000])
  test(`an archive that comes in pieces of ${piece} bytes comes back from the directory that was made of it`, () =>
    within(async (directory) => {
      const tar = windowsTar(MEMBERS);
      await unpacked(directory, tar, { piece });
      assert.ok((await collected(layerTar(directory))).equals(tar));
    }));

test('what no exporter of Windows writes comes back, too: other orders, other headers, bytes after the end', () =>
  within(async (directory) => {
    const tar = Buffer.concat([
      windowsTar(MEMBERS.toReversed().filter(({ path }) => !/\/.*\//.test(path))),
      Buffer.from('behind the end'),
    ]);
    await unpacked(directory, tar);
    assert.ok((await collected(layerTar(directory))).equals(tar));
  }));

test('an archive whose file has thousands of streams comes back without a search for each of them', () =>
  within(async (directory) => {
    const named = Array.from({ length: 4000 }, (_, i) => [`s${i}`, 'x']);
    const streams = Object.fromEntries(named) as Record<string, string>;
    const tar = windowsTar([{ path: 'Files/a', content: 'data', streams }]);
    await unpacked(directory, tar, { piece: 100_000 });
    const before = process.threadCpuUsage();
    assert.ok((await collected(layerTar(directory))).equals(tar));
    // Of the processor, in microseconds. It takes 0.1 s; with searches it took 20.
    const { user, system } = process.threadCpuUsage(before);
    assert.ok(user + system < 6_000_000, `${user + system} µs`);
  }));

test('a file is its attributes and the streams that Windows restores it from', () =>
  within(async (directory) => {
    const security = Buffer.from('0100008000000000000000000000000000000000', 'hex');
    await unpacked(
      directory,
      windowsTar([
        { path: 'Files/a', content: 'data', attributes: 6, security, streams: { s: 'other' } },
      ]),
    );
    const u32 = (value: number): Buffer => Buffer.from(new Uint32Array([value]).buffer);
    const stream = (id: number, content: Buffer, name = ''): Buffer =>
      Buffer.concat([
        u32(id),
        u32(0),
        u32(content.length),
        u32(0),
        u32(name.length * 2),
        Buffer.from(name, 'utf16le'),
        content,
      ]);
    assert.deepEqual(
      await readFile(join(directory, 'fs/Files/a')),
      Buffer.concat([
        u32(0x26),
        stream(3, security),
        stream(1, Buffer.from('data')),
        stream(4, Buffer.from('other'), ':s:$DATA'),
      ]),
    );
  }));

test('deleted names are listed as Windows lists them, and a base layer has an empty list', () =>
  within(async (directory) => {
    await unpacked(
      directory,
      windowsTar([
        { path: 'Files/Windows/Temp/gone.txt', kind: 'tombstone' },
        { path: 'Files/ä', kind: 'tombstone' },
      ]),
      { parents: ['/parent', '/base'] },
    );
    assert.equal(
      await readFile(join(directory, 'fs/tombstones.txt'), 'utf8'),
      '\ufeffVersion 1.0\n\\Windows\\Temp\\gone.txt\n\\ä\n',
    );
    assert.equal(await readFile(join(directory, 'layerchain.json'), 'utf8'), '["/parent","/base"]');
  }));

test('hives are as they are, directories have their attributes beside them, links are no places to write through', () =>
  within(async (directory) => {
    await unpacked(directory, windowsTar(MEMBERS));
    assert.equal(await readFile(join(directory, 'fs/Hives/System_Delta'), 'latin1'), 'regf');
    assert.deepEqual((await readdir(directory)).toSorted(), [
      'fs',
      'layer.headers',
      'layerchain.json',
    ]);
    assert.deepEqual((await readdir(join(directory, 'fs'))).toSorted(), [
      'Files',
      'Files.$wcidirs$',
      'Hives',
      'Hives.$wcidirs$',
      'tombstones.txt',
    ]);
    assert.deepEqual((await readdir(join(directory, 'fs/Files'))).toSorted(), [
      'Program Files',
      'Program Files.$wcidirs$',
      'junction',
      'junction.$wcidirs$',
      'link.txt',
      'long',
      'long.$wcidirs$',
      'Übermut.txt',
    ]);
  }));

test('exporting a directory that nothing is known of gives the archive that Windows would give', () =>
  within(async (directory) => {
    const tombstone = { path: 'Files/Program Files/old.dll', kind: 'tombstone' } as const;
    // As the exporter walks: the list of a directory right behind it, names in byte order.
    const sorted = [
      MEMBERS[0]!,
      tombstone,
      ...MEMBERS.slice(1, 3),
      ...MEMBERS.slice(4, 8),
      MEMBERS[3]!,
    ];
    const hive = MEMBERS.at(-1)!;
    const plain = { mtime: hive.mtime! };
    const tar = windowsTar(
      [
        { path: 'Files', kind: 'directory', ...plain },
        ...sorted,
        { path: 'Hives', kind: 'directory', ...plain },
        hive,
      ],
      { areas: [] },
    );
    await unpacked(directory, tar, { parents: ['/base'] });
    const exported = await collected(exportLayer(join(directory, 'fs')));
    // Outside of `Files` the transport format has no security descriptors.
    assert.deepEqual(namesOf(exported), namesOf(tar));
    const [mine, theirs] = [withoutAreas(exported), withoutAreas(tar)];
    assert.ok(mine.equals(theirs), 'members below Files differ');
  }));

/** The members below `Files`, with all their blocks. */
function withoutAreas(tar: Buffer): Buffer {
  const parts: Buffer[] = [];
  let [from, last] = [0, 0];
  const reader = new TarReader({
    entry(entry) {
      const data = Math.ceil(entry.dataSize / 512) * 512;
      const end = entry.dataOffset + data;
      if (entry.name.startsWith('Files/')) parts.push(tar.subarray(from, end));
      [from, last] = [end, end];
    },
    data() {},
    end() {},
  });
  reader.write(tar);
  assert.ok(last > 0);
  return Buffer.concat(parts);
}

function namesOf(tar: Buffer): string[] {
  const names: string[] = [];
  const reader = new TarReader({ entry: ({ name }) => void names.push(name), data() {}, end() {} });
  reader.write(tar);
  return names;
}

test('a layer whose file was changed afterwards does not give its archive again', () =>
  within(async (directory) => {
    await unpacked(directory, windowsTar(MEMBERS));
    await truncate(join(directory, 'fs/Files/Program Files/app.exe'), 50);
    await assert.rejects(collected(layerTar(directory)), { code: 'DATA_LOSS' });
  }));

describe('a hostile or mistaken layer is refused, and nothing of it lies outside of its directory', () => {
  const file = (path: string): WindowsMember => ({ path });
  const CASES: readonly (readonly [why: string, members: readonly WindowsMember[]])[] = [
    ['..', [file('Files/../../evil')]],
    ['a backslash', [file('Files/..\\..\\evil')]],
    ['a drive', [file('C:/evil')]],
    ['a drive within', [{ path: 'Files/C:', kind: 'directory' }]],
    ['an absolute name', [file('/etc/evil')]],
    ['a device of DOS', [file('Files/con')]],
    ['a device with an extension', [file('Files/NUL.txt')]],
    ['a dot at the end', [file('Files/a.')]],
    ['a space at the end', [file('Files/a ')]],
    ['a control character', [file('Files/a\u0007')]],
    ['two streams in one name', [file('Files/a'), file('Files/a:b:c')]],
    ['a stream of nothing', [file('Files/a:b')]],
    ['a stream of a file before the last', [file('Files/a'), file('Files/b'), file('Files/a:s')]],
    ['a name for attributes', [file('Files/a.$wcidirs$')]],
    ['a name at the root', [file('tombstones.txt')]],
    ['a directory beside Files', [{ path: 'etc', kind: 'directory' }]],
    ['a file before its directory', [file('Files/d/a')]],
    ['a file below a file', [file('Files/a'), file('Files/a/b')]],
    [
      'a file through a junction',
      [
        { path: 'Files/j', kind: 'symlink', target: '\\\\?\\C:\\', attributes: 0x10 },
        file('Files/j/a'),
      ],
    ],
    ['one name twice', [file('Files/a'), file('Files/a')]],
    ['one name in two cases', [file('Files/a'), file('Files/A')]],
    [
      'a directory in another case',
      [{ path: 'Files/Dir', kind: 'directory' }, file('Files/dir/a')],
    ],
    ['a hard link out', [{ path: 'Files/a', kind: 'link', target: '../../../etc/passwd' }]],
    ['a hard link to a hive', [{ path: 'Files/a', kind: 'link', target: 'Hives/System_Delta' }]],
    ['a tombstone out', [{ path: 'Files/../a', kind: 'tombstone' }]],
    ['a tombstone with a line end', [{ path: 'Files/a\n\\b', kind: 'tombstone' }]],
    ['a tombstone beside Files', [{ path: 'Hives/Sam_Delta', kind: 'tombstone' }]],
    ['an opaque directory', [{ path: 'Files/.wh..opq', kind: 'tombstone' }]],
    ['a directory of hives', [{ path: 'Hives/d', kind: 'directory' }]],
    ['a broken security descriptor', [{ path: 'Files/a', security: Buffer.alloc(20, 1) }]],
    ['attributes of a directory for a file', [{ path: 'Files/a', attributes: 0x10 }]],
  ];
  for (const [why, members] of CASES)
    test(`with ${why}`, () =>
      within(async (path) => {
        const directory = join(path, 'layer');
        const { mkdir } = await import('node:fs/promises');
        await mkdir(directory);
        await assert.rejects(unpacked(directory, windowsTar(members), { parents: ['/below'] }), {
          code: 'INVALID_ARGUMENT',
        });
        assert.deepEqual(await readdir(path), ['layer']);
      }));

  test('with a tombstone in a base layer', () =>
    within((directory) =>
      assert.rejects(unpacked(directory, windowsTar([{ path: 'Files/a', kind: 'tombstone' }])), {
        code: 'INVALID_ARGUMENT',
      }),
    ));

  test('without Files', () =>
    within((directory) =>
      assert.rejects(unpacked(directory, windowsTar([], { areas: ['Hives'] })), {
        code: 'INVALID_ARGUMENT',
      }),
    ));
});

test('a file that gets shorter while it is exported ends the export, and does not go on for ever', () =>
  within(async (directory) => {
    const content = Buffer.alloc(1_000_000, 1);
    await unpacked(directory, windowsTar([{ path: 'Files/a', content }]));
    const tar = exportLayer(join(directory, 'fs'));
    let seen = 0;
    await assert.rejects(
      async () => {
        for await (const chunk of tar) {
          if (chunk[0] === 1) await truncate(join(directory, 'fs/Files/a'), 300_000);
          seen += chunk.length;
          assert.ok(seen < 2 * content.length, 'it goes on');
        }
      },
      { code: 'DATA_LOSS' },
    );
  }));

const u64 = (value: number): Buffer => Buffer.from(new BigUint64Array([BigInt(value)]).buffer);

/** A sparse file in the transport format: its blocks, and where it ends. */
const sparse = (blocks: readonly (readonly [at: number, text: string])[]): Buffer =>
  Buffer.concat([
    Buffer.alloc(4),
    streamOf(1, Buffer.alloc(0), 8),
    ...blocks.map(([at, text]) => streamOf(9, Buffer.concat([u64(at), Buffer.from(text)]))),
  ]);

function streamOf(id: number, content: Buffer, attributes = 0): Buffer {
  const head = Buffer.alloc(20);
  head.writeUInt32LE(id, 0);
  head.writeUInt32LE(attributes, 4);
  head.writeBigUInt64LE(BigInt(content.length), 8);
  return Buffer.concat([head, content]);
}

const SPARSE: readonly (readonly [
  what: string,
  blocks: readonly (readonly [at: number, text: string])[],
  content: string | undefined,
])[] = [
  [
    'blocks in order',
    [
      [2, 'ab'],
      [6, 'c'],
      [8, ''],
    ],
    '\0\0ab\0\0c\0',
  ],
  [
    'blocks that overlap',
    [
      [0, 'abc'],
      [2, 'd'],
      [8, ''],
    ],
    undefined,
  ],
  [
    'blocks that go backwards',
    [
      [4, 'a'],
      [0, 'b'],
      [8, ''],
    ],
    undefined,
  ],
  [
    'an end before its last block',
    [
      [4, 'abc'],
      [5, ''],
    ],
    undefined,
  ],
];

for (const [what, blocks, content] of SPARSE)
  test(`a sparse file with ${what} ${content === undefined ? 'is refused' : 'is exported'}`, () =>
    within(async (directory) => {
      await unpacked(directory, windowsTar([{ path: 'Files/a', content: 'x' }]));
      await writeFile(join(directory, 'fs/Files/a'), sparse(blocks));
      const exported = collected(exportLayer(join(directory, 'fs')));
      if (content === undefined) return assert.rejects(exported, { code: 'DATA_LOSS' });
      const found = (await Array.fromAsync(
        readTar(new Blob([await exported]).stream()),
        async (member) => [member.name, (await collected(member.content)).toString()],
      )) as [string, string][];
      return assert.equal(Object.fromEntries(found)['Files/a'], content);
    }));

test('names of a layer take a bounded part of the memory, however few they are', () => {
  const rules = new LayerRules({ isBase: undefined, nameBytes: 100 });
  const accept = (name: string): void =>
    new TarReader({ entry: (entry) => rules.accept(entry), data() {}, end() {} }).write(
      encodeGoMember({
        name,
        type: 'directory',
        mode: 0,
        size: 0,
        mtime: { seconds: 0, nanoseconds: 0 },
        records: new Map(),
      }),
    );
  accept('Files');
  accept(`Files/${'a'.repeat(60)}`);
  assert.throws(() => accept(`Files/${'b'.repeat(60)}`), { code: 'RESOURCE_EXHAUSTED' });
});

test('a file of a layer, or its kept headers, that becomes larger than files may be is named', () =>
  within(async (directory) => {
    const [large, many] = [join(directory, 'large.tar'), join(directory, 'many.tar')];
    writeFileSync(large, windowsTar([{ path: 'Files/large', content: 'x'.repeat(200_000) }]));
    const names = Array.from({ length: 1500 }, (_, at) => sha256(String(at)).slice(7));
    writeFileSync(many, windowsTar(names.map((name) => ({ path: `Files/${name}`, content: '' }))));
    const url = (path: string): string => JSON.stringify(import.meta.resolve(path));
    for (const [tar, file] of [
      [large, join(LAYER_FILES.transport, 'Files', 'large')],
      [many, LAYER_FILES.headers],
    ] as const) {
      const layer = join(directory, file.replaceAll('/', '-'));
      mkdirSync(layer);
      const said = underFileLimit(`
        import { readFileSync } from 'node:fs';
        import { LayerWriter } from ${url('./layer-writer.ts')};
        import { TarReader } from ${url('../tar/read.ts')};
        const writer = new LayerWriter(${JSON.stringify(layer)}, { parents: [] });
        const reader = new TarReader(writer);
        try {
          writer.keeping(reader).write(readFileSync(${JSON.stringify(tar)}));
          reader.end();
          writer.finish();
        } catch (error) {
          told(error);
        }`);
      assert.ok(said.startsWith(saidOfLimit(join(layer, file))), said);
    }
  }));

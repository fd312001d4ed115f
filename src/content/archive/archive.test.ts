import assert from 'node:assert/strict';
import { mkdtempDisposable, readdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { type ErrorCode, isCode } from '../../errors.ts';
import { type Descriptor } from '../../oci/descriptor.ts';
import { sha256 } from '../../oci/digest.ts';
import { parseManifest } from '../../oci/manifest.ts';
import { DOCKER_LAYER, DOCKER_MANIFEST } from '../../oci/media-type.ts';
import { parseReference } from '../../oci/reference.ts';
import { blob, read, reopenable } from '../../testing/content.ts';
import { configOf, dockerArchive } from '../../testing/docker-archive.ts';
import { BlobFixture } from '../../testing/image-fixture.ts';
import { file, hardlink, type Items, link, sparse, tarOf, tree } from '../../testing/tree.ts';
import { copy } from '../copy.ts';
import { fetchAll } from '../verify.ts';
import { type Archive, openArchive } from './open-archive.ts';
import { type ArchiveFormat, type ArchiveWriter, writeArchive } from './write-archive.ts';

const scratch = (): ReturnType<typeof mkdtempDisposable> =>
  mkdtempDisposable(join(tmpdir(), 'mica-archive-'));

/** Opens bytes as a stream, which is kept in a directory of its own. */
async function within(bytes: Buffer, use: (archive: Archive) => Promise<void>): Promise<void> {
  await using dir = await scratch();
  const stream = { bytes: reopenable(bytes, 7000)(0), name: 'a stream' };
  await using archive = await openArchive(stream, { spool: dir.path });
  assert.deepEqual(await readdir(dir.path), []);
  await use(archive);
}

async function written(
  format: ArchiveFormat,
  fill: (archive: ArchiveWriter) => Promise<void>,
): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  const archive = writeArchive(async (chunk) => void chunks.push(chunk), format);
  await fill(archive);
  await archive.finish();
  return Buffer.concat(chunks);
}

const named = (name: string): ReturnType<typeof parseReference> & { readonly tag: string } =>
  parseReference(name) as ReturnType<typeof parseReference> & { readonly tag: string };

for (const format of ['docker-archive', 'oci-archive'] as const)
  test(`an image comes out of an ${format} as it went in, by each of its names`, async () => {
    const fixture = new BlobFixture();
    const image = await fixture.image([tree({ a: file('1') }), tree({ b: file('2') })]);
    const bytes = await written(format, async (archive) => {
      await copy(fixture, archive, image.descriptor, { concurrency: 5 });
      archive.name(image.descriptor, named('redis:7'));
      archive.name(image.descriptor, named('localhost:5000/team/app:1'));
    });
    await within(bytes, async (archive) => {
      assert.deepEqual(
        archive.list().map(({ digest }) => digest),
        [image.descriptor.digest, image.descriptor.digest],
      );
      for (const name of ['redis:7', 'docker.io/library/redis:7', 'localhost:5000/team/app:1', ''])
        assert.equal((await archive.resolve(name)).digest, image.descriptor.digest);
      for (const target of [image.config, ...image.layers]) {
        assert.equal(await archive.has(target), true);
        const expected = Buffer.from(fixture.blobs.get(target.digest)!);
        assert.deepEqual(await read(archive.fetch(target)), expected);
        assert.deepEqual(await read(archive.fetch(target, { offset: 9 })), expected.subarray(9));
      }
    });
  });

test('the same images give the same archive, whose members are of nobody and no time', async () => {
  const fixture = new BlobFixture();
  const image = await fixture.image([tree({ a: file('1') })]);
  const fill = async (archive: ArchiveWriter): Promise<void> => {
    await copy(fixture, archive, image.descriptor, { concurrency: 1 });
    archive.name(image.descriptor);
  };
  const [first, second] = [
    await written('docker-archive', fill),
    await written('docker-archive', fill),
  ];
  assert.deepEqual(first, second);
});

test('a blob that is not what it should be ends the archive', async () => {
  const archive = writeArchive(async () => {}, 'oci-archive');
  const [target] = blob('right');
  const wrong = archive.push(target, reopenable(Buffer.from('wrong')));
  await assert.rejects(wrong, (error) => isCode(error, 'DATA_LOSS'));
  assert.equal(await archive.has(target), false);
  const broken = (error: unknown): boolean => isCode(error, 'FAILED_PRECONDITION');
  await assert.rejects(archive.push(...pushable('more')), broken);
  await assert.rejects(archive.finish(), broken);
});

const pushable = (text: string): [Descriptor, ReturnType<typeof reopenable>] => {
  const [target, bytes] = blob(text);
  return [target, reopenable(bytes)];
};

test('what is not in the archive gets no name', () => {
  const archive = writeArchive(async () => {}, 'oci-archive');
  assert.throws(
    () => archive.name(blob('x')[0], 'latest'),
    (error) => isCode(error, 'NOT_FOUND'),
  );
});

const LAYERS = ['one', 'two'].map((text) => tarOf(tree({ [text]: file(text) })));

test("Docker's old archives give manifests, and layers that occur again are links", async () => {
  const bytes = dockerArchive([
    { tags: ['one:1', 'two:2'], layers: LAYERS },
    { tags: ['three'], layers: [LAYERS[0]!] },
  ]);
  await within(bytes, async (archive) => {
    const [one, two, three] = archive.list();
    assert.deepEqual([one!.digest, archive.list().length], [two!.digest, 3]);
    const target = await archive.resolve('three:latest');
    assert.deepEqual([target.digest, target.mediaType], [three!.digest, DOCKER_MANIFEST]);
    const { layers, config } = parseManifest(await fetchAll(archive, target), DOCKER_MANIFEST);
    assert.deepEqual((await fetchAll(archive, config)).toString(), configOf([LAYERS[0]!]));
    assert.deepEqual(layers, [
      { mediaType: DOCKER_LAYER, digest: sha256(LAYERS[0]!), size: LAYERS[0]!.length },
    ]);
    assert.deepEqual(await fetchAll(archive, layers[0]!), LAYERS[0]);
  });
});

test("compressed layers in Docker's format stay as they are", async () => {
  const layers = [gzipSync(LAYERS[0]!), zstdCompressSync(LAYERS[1]!)];
  await within(dockerArchive([{ layers, tars: LAYERS }]), async (archive) => {
    const target = await archive.resolve('');
    const manifest = parseManifest(await fetchAll(archive, target), DOCKER_MANIFEST);
    assert.deepEqual(
      manifest.layers.map(({ mediaType, digest }) => [mediaType, digest]),
      [
        [`${DOCKER_LAYER}.gzip`, sha256(layers[0]!)],
        [`${DOCKER_LAYER}.zstd`, sha256(layers[1]!)],
      ],
    );
    for (const layer of manifest.layers) await fetchAll(archive, layer);
  });
});

test('a config that thousands of entries name is read once', async () => {
  const config = JSON.stringify({ ...JSON.parse(configOf([])), author: 'x'.repeat(1 << 20) });
  const entries = Array.from({ length: 6000 }, () => ({ Config: 'config', Layers: [] }));
  const list = JSON.stringify(entries);
  const bytes = tarOf(tree({ config: file(config), 'manifest.json': file(list) }));
  const before = process.threadCpuUsage();
  await within(bytes, async (archive) => {
    assert.equal(archive.list().length, entries.length);
    const manifest = parseManifest(await fetchAll(archive, archive.list()[0]!), DOCKER_MANIFEST);
    assert.equal((await fetchAll(archive, manifest.config)).toString(), config);
  });
  // Of the processor: to read it for each takes eight seconds.
  const { user } = process.threadCpuUsage(before);
  assert.ok(user < 3_000_000, `${user} microseconds`);
});

for (const [how, compress] of [
  ['gzip', gzipSync],
  ['zstd', zstdCompressSync],
  ['no compression', (bytes: Buffer) => bytes],
] as const)
  test(`an archive is read from a file with ${how}`, async () => {
    await using dir = await scratch();
    const path = join(dir.path, 'archive.tar');
    await writeFile(path, compress(dockerArchive([{ tags: ['a:1'], layers: LAYERS }])));
    await using archive = await openArchive(path, { spool: dir.path });
    assert.deepEqual(await readdir(dir.path), ['archive.tar']);
    await fetchAll(archive, await archive.resolve('a:1'));
  });

test('a name that several images have, and none where there are several, is refused', async () => {
  const bytes = dockerArchive([
    { tags: ['a:1'], layers: [LAYERS[0]!] },
    { tags: ['b:1'], layers: [LAYERS[1]!] },
  ]);
  await within(bytes, async (archive) => {
    await assert.rejects(archive.resolve(''), (error) => isCode(error, 'INVALID_ARGUMENT'));
    await assert.rejects(archive.resolve('c:1'), (error) => isCode(error, 'NOT_FOUND'));
    const [first] = archive.list();
    assert.equal((await archive.resolve(first!.digest)).digest, first!.digest);
  });
});

const CONFIG = configOf([LAYERS[0]!]);
const LIST = JSON.stringify([{ Config: 'c.json', RepoTags: null, Layers: ['l.tar'] }]);
const PARTS: Items = { 'c.json': file(CONFIG), 'l.tar': file(LAYERS[0]) };
const HUGE = 5 * 1024 * 1024;

const archiveOf = (items: Items): Buffer => tarOf(tree(items));

const BROKEN: readonly (readonly [what: string, bytes: Buffer, code: ErrorCode])[] = [
  ['nothing', Buffer.alloc(0), 'INVALID_ARGUMENT'],
  ['text', Buffer.alloc(2000, 'not a tar'), 'INVALID_ARGUMENT'],
  ['an empty archive', Buffer.alloc(1024), 'INVALID_ARGUMENT'],
  ['a file system', archiveOf({ 'etc/passwd': file('root') }), 'INVALID_ARGUMENT'],
  ['a list that is null', archiveOf({ 'manifest.json': file('null') }), 'INVALID_ARGUMENT'],
  [
    'a list of nothing else than null',
    archiveOf({ 'manifest.json': file('[null]') }),
    'INVALID_ARGUMENT',
  ],
  ['a list that is no JSON', archiveOf({ 'manifest.json': file('[') }), 'INVALID_ARGUMENT'],
  [
    'a list of 5 MiB',
    archiveOf({ ...PARTS, 'manifest.json': file(`[${' '.repeat(HUGE)}]`) }),
    'INVALID_ARGUMENT',
  ],
  [
    'a list without its config',
    archiveOf({ 'l.tar': file(), 'manifest.json': file(LIST) }),
    'NOT_FOUND',
  ],
  [
    'a list without its layer',
    archiveOf({ 'c.json': file(CONFIG), 'manifest.json': file(LIST) }),
    'NOT_FOUND',
  ],
  [
    'two lists',
    archiveOf([
      ...Object.entries(PARTS),
      ['manifest.json', file(LIST)],
      ['manifest.json', file('[]')],
    ]),
    'INVALID_ARGUMENT',
  ],
  [
    'another number of layers than the config has',
    archiveOf({ ...PARTS, 'manifest.json': file(LIST.replace('["l.tar"]', '["l.tar","l.tar"]')) }),
    'INVALID_ARGUMENT',
  ],
  [
    'a layer that links to itself',
    archiveOf({ 'c.json': file(CONFIG), 'l.tar': link('l.tar'), 'manifest.json': file(LIST) }),
    'NOT_FOUND',
  ],
  [
    'a layer that links out of the archive',
    archiveOf({
      'c.json': file(CONFIG),
      'l.tar': link('../etc/passwd'),
      'manifest.json': file(LIST),
    }),
    'INVALID_ARGUMENT',
  ],
  [
    'a layer that links to a file of the machine',
    archiveOf({
      'c.json': file(CONFIG),
      'l.tar': link('/etc/passwd'),
      'manifest.json': file(LIST),
    }),
    'NOT_FOUND',
  ],
  [
    'a member outside of the archive',
    archiveOf({ ...PARTS, '../../etc/cron.d/x': file(), 'manifest.json': file(LIST) }),
    'INVALID_ARGUMENT',
  ],
  [
    'a layer that is a sparse file',
    archiveOf({
      'c.json': file(CONFIG),
      'l.tar': sparse(9999, { 5: 'x' }),
      'manifest.json': file(LIST),
    }),
    'NOT_FOUND',
  ],
  [
    'a layout without an index',
    archiveOf({ 'oci-layout': file('{"imageLayoutVersion":"1.0.0"}') }),
    'INVALID_ARGUMENT',
  ],
  [
    'a layout of version 2',
    archiveOf({ 'oci-layout': file('{"imageLayoutVersion":"2.0.0"}') }),
    'FAILED_PRECONDITION',
  ],
  [
    'an archive of 2014',
    archiveOf({ repositories: file('{}'), 'x/layer.tar': file() }),
    'NOT_IMPLEMENTED',
  ],
  ['half an archive', dockerArchive([{ layers: LAYERS }]).subarray(0, 1800), 'DATA_LOSS'],
  [
    'half a gzip stream',
    gzipSync(dockerArchive([{ layers: LAYERS }])).subarray(0, 300),
    'DATA_LOSS',
  ],
  ['lz4', Buffer.from([0x04, 0x22, 0x4d, 0x18, ...Array(100).fill(0)]), 'NOT_IMPLEMENTED'],
];

for (const [what, bytes, code] of BROKEN)
  test(`${what} is refused with ${code}, from a file and from a stream`, async () => {
    await using dir = await scratch();
    const path = join(dir.path, 'archive.tar');
    await writeFile(path, bytes);
    const refused = (error: unknown): boolean => isCode(error, code) || assert.fail(error as Error);
    await assert.rejects(openArchive(path, { spool: dir.path }), refused);
    await assert.rejects(
      within(bytes, async () => {}),
      refused,
    );
    assert.deepEqual(await readdir(dir.path), ['archive.tar']);
  });

test('hard links and links to links are followed', async () => {
  const bytes = archiveOf([
    ['data/l', file(LAYERS[0])],
    ['data/hard', hardlink('data/l')],
    ['l.tar', link('data/hard')],
    ['c.json', file(CONFIG)],
    ['./manifest.json', file(LIST)],
  ]);
  await within(bytes, async (archive) => {
    const { layers } = parseManifest(await fetchAll(archive, await archive.resolve('')));
    assert.deepEqual(await fetchAll(archive, layers[0]!), LAYERS[0]);
  });
});

test('a blob of another size than was promised, or of another content, is data loss', async () => {
  const [target, bytes] = blob('content');
  const path = `blobs/sha256/${target.digest.slice(7)}`;
  const archive = archiveOf({
    'oci-layout': file('{"imageLayoutVersion":"1.0.0"}'),
    'index.json': file('{"schemaVersion":2,"manifests":[]}'),
    [path]: file(bytes.subarray(1)),
  });
  await within(archive, async (opened) => {
    assert.equal(await opened.has(target), false);
    await assert.rejects(read(opened.fetch(target)), (error) => isCode(error, 'DATA_LOSS'));
    const shorter = { ...target, size: target.size - 1 };
    await assert.rejects(fetchAll(opened, shorter), (error) => isCode(error, 'DATA_LOSS'));
  });
});

import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { toBytes } from '../../sys/byte-string.ts';
import { performMounts } from '../../sys/mount.ts';
import { describeDirectory } from '../../testing/describe.ts';
import { feed } from '../../testing/layer.ts';
import { needs } from '../../testing/need.ts';
import * as t from '../../testing/tree.ts';
import { jobOf, unpackStack } from '../../testing/unpack-stack.ts';
import { Available } from '../available.ts';
import { Changeset } from '../changeset/changeset.ts';
import { nothingBelow } from '../changeset/lower.ts';
import { noSink } from '../changeset/sink.ts';
import { unpackLayer } from '../unpack-layer.ts';

const skip = needs('root');
const FORMS = ['overlay', 'direct'] as const;

/** What lies beside the store, and must be as it was afterwards. */
function outsideOf(directory: string): { path: string; description: () => string } {
  const path = join(directory, 'outside');
  mkdirSync(join(path, 'sub'), { recursive: true, mode: 0o700 });
  writeFileSync(join(path, 'secret'), 'secret', { mode: 0o600 });
  writeFileSync(join(path, 'sub/secret'), 'secret', { mode: 0o600 });
  return { path, description: () => describeDirectory(toBytes(path)) };
}

type Pairs = readonly (readonly [string, t.Item])[];

interface Attack {
  readonly title: string;
  /** Layers, base first; `$` is the directory to attack, `..$` the same by a relative path. */
  readonly layers: (outside: string, up: string) => readonly Pairs[];
  /** Whether the layers are refused. Default: the attack has no effect. */
  readonly refused?: boolean;
}

/** Each has broken some unpacker. */
const ATTACKS: readonly Attack[] = [
  {
    title: 'a file through an absolute symbolic link',
    layers: (outside) => [
      [
        ['l', t.link(outside)],
        ['l/secret', t.file('evil')],
      ],
    ],
  },
  {
    title: 'a file through a relative symbolic link',
    layers: (_, up) => [
      [
        ['l', t.link(up)],
        ['l/secret', t.file('evil')],
      ],
    ],
  },
  {
    title: 'a file through a chain of links (CVE-2018-20990, CVE-2021-20206)',
    layers: (_, up) => [
      [
        ['d', t.dir()],
        ['d/a', t.link('..')],
        ['d/b', t.link(`a/${up}`)],
        ['d/b/secret', t.file('evil')],
      ],
    ],
  },
  {
    title: 'a file in the place of a link to a file',
    layers: (outside) => [
      [
        ['l', t.link(`${outside}/secret`)],
        ['l', t.file('evil', { mode: 0o777 })],
      ],
    ],
  },
  {
    title: 'a directory entry, mode and owner, on a link (CVE-2024-0406)',
    layers: (outside) => [
      [
        ['l', t.link(outside)],
        ['l', t.dir({ mode: 0o777, uid: 1 })],
      ],
    ],
  },
  {
    title: 'a member whose name climbs',
    layers: (outside, up) => [
      [
        [`${up}/secret`, t.file('evil')],
        [`${outside}/secret`, t.file('evil')],
      ],
    ],
  },
  {
    title: 'a hard link to a file outside',
    layers: (outside) => [[['h', t.hardlink(`${outside}/secret`)]]],
    refused: true,
  },
  {
    title: 'a hard link to a file outside through a symbolic link',
    layers: (outside) => [
      [
        ['l', t.link(outside)],
        ['h', t.hardlink('l/secret')],
      ],
    ],
    refused: true,
  },
  {
    title: 'a hard link to a symbolic link, then written through',
    layers: (outside) => [
      [
        ['l', t.link(`${outside}/secret`)],
        ['h', t.hardlink('l')],
        ['h', t.file('evil')],
      ],
    ],
  },
  {
    title: 'a file through a link of a lower layer',
    layers: (outside) => [[['l', t.link(outside)]], [['l/secret', t.file('evil')]]],
  },
  {
    title: 'a whiteout through a link of a lower layer',
    layers: (outside) => [[['l', t.link(outside)]], [['l/secret', t.whiteout()]]],
  },
  {
    title: 'an opaque mark through a link of a lower layer',
    layers: (outside) => [[['l', t.link(outside)]], [['l/.wh..wh..opq', t.file()]]],
  },
  {
    title: 'an opaque directory around a link of a lower layer',
    layers: (outside) => [
      [
        ['d', t.dir()],
        ['d/l', t.link(outside)],
      ],
      [['d', t.dir({ opaque: true })]],
    ],
  },
  {
    title: 'a whiteout of a link of a lower layer',
    layers: (outside) => [[['l', t.link(outside)]], [['l', t.whiteout()]]],
  },
  {
    title: 'a directory over a link of a lower layer',
    layers: (outside) => [
      [['l', t.link(outside)]],
      [
        ['l', t.dir({ mode: 0o777 })],
        ['l/secret', t.file('evil')],
      ],
    ],
  },
  {
    title: 'a hard link through a link of a lower layer',
    layers: (outside) => [[['l', t.link(outside)]], [['h', t.hardlink('l/secret')]]],
    refused: true,
  },
  {
    title: 'a hard link to a link of a lower layer, then written through',
    layers: (outside) => [
      [['l', t.link(`${outside}/secret`)]],
      [
        ['h', t.hardlink('l')],
        ['h/x', t.file('evil')],
      ],
    ],
  },
  {
    title: 'a whiteout of the parent directory',
    layers: () => [
      [
        ['d', t.dir()],
        ['d/.wh...', t.file()],
      ],
    ],
    refused: true,
  },
  {
    title: 'a whiteout whose name goes on upwards',
    layers: (_, up) => [
      [
        ['d', t.dir()],
        [`d/.wh.${up}`, t.file()],
        [`d/.wh.x/${up}/.wh.secret`, t.file()],
      ],
    ],
  },
];

for (const { title, layers, refused = false } of ATTACKS)
  for (const form of FORMS)
    test(`${title} does nothing outside (${form})`, { skip }, async () => {
      await using dir = await mkdtempDisposable(join(tmpdir(), 'hostile-'));
      const outside = outsideOf(dir.path);
      const before = outside.description();
      const work = join(dir.path, 'work');
      const up = `${'../'.repeat(20)}${outside.path.slice(1)}`;
      const tars = layers(outside.path, up).map((pairs) =>
        t.tarOf(t.tree(pairs, { parents: 'omit' })),
      );
      const unpacking = unpackStack(tars, form, work);
      if (refused) await assert.rejects(unpacking, { code: 'INVALID_ARGUMENT' });
      else await unpacking;
      assert.equal(outside.description(), before);
    });

test('a declared size of many terabytes allocates nothing', { skip }, async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'hostile-'));
  const [member] = t.tree({ huge: t.file('begin') });
  const tar = t.tarOf([member!]);
  // The size field in base 256: 1 TiB.
  const size = Buffer.alloc(12);
  size[0] = 0x80;
  size.writeUIntBE(2 ** 40, 6, 6);
  size.copy(tar, 124);
  const sum = tar
    .subarray(0, 512)
    .reduce((total, byte, at) => total + (at >= 148 && at < 156 ? 32 : byte), 0);
  tar.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  const before = process.memoryUsage().rss;
  await assert.rejects(unpackStack([tar], 'overlay', dir.path), { code: 'DATA_LOSS' });
  assert.ok(process.memoryUsage().rss - before < 64 * 2 ** 20);
});

test(
  'what inflates beyond the disk ends with "no space", and can be removed',
  { skip },
  async () => {
    await using dir = await mkdtempDisposable(join(tmpdir(), 'hostile-'));
    const disk = join(dir.path, 'disk');
    mkdirSync(disk);
    const tmpfs = { type: 'tmpfs', source: 'tmpfs', options: ['size=2m'] };
    await using _ = await performMounts([tmpfs], disk);
    const bomb = gzipSync(t.tarOf(t.tree({ zeros: t.file(Buffer.alloc(8 << 20)) })));
    const directory = join(disk, 'layer');
    mkdirSync(directory);
    const unpacking = unpackLayer(jobOf(bomb, 'overlay', directory), {
      available: Available.complete(bomb.length),
    });
    await assert.rejects(unpacking, { code: 'RESOURCE_EXHAUSTED', message: /no space left/ });
    rmSync(directory, { recursive: true });
    assert.equal(readFileSync('/proc/self/mountinfo', 'utf8').includes(disk), true);
  },
);

test('a layer of more files than memory is meant for is refused', () => {
  const changeset = new Changeset(noSink, { lower: nothingBelow, limits: { nodes: 100 } });
  const files = Array.from({ length: 101 }, (_, i) => [`f${i}`, t.file()] as const);
  assert.throws(() => feed(changeset, t.tree(files)), { code: 'RESOURCE_EXHAUSTED' });
});

test('one member cannot make more directories than that', () => {
  const changeset = new Changeset(noSink, { lower: nothingBelow, limits: { nodes: 100 } });
  const deep = t.tree([[`${'d/'.repeat(150)}f`, t.file()]], { parents: 'omit' });
  assert.throws(() => feed(changeset, deep), { code: 'RESOURCE_EXHAUSTED' });
});

test("files that take each other's place count, too", () => {
  const changeset = new Changeset(noSink, { lower: nothingBelow, limits: { nodes: 100 } });
  const same = Array.from({ length: 101 }, () => ['f', t.file()] as const);
  assert.throws(() => feed(changeset, t.tree(same)), { code: 'RESOURCE_EXHAUSTED' });
});

test('names and attributes of more bytes than memory is meant for are refused', () => {
  const changeset = new Changeset(noSink, { lower: nothingBelow, limits: { text: 10_000 } });
  const xattrs = { 'user.big': 'x'.repeat(6000) };
  const layer = t.tree({ a: t.file('', { xattrs }), b: t.file('', { xattrs }) });
  assert.throws(() => feed(changeset, layer), { code: 'RESOURCE_EXHAUSTED' });
});

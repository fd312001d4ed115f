import assert from 'node:assert/strict';
import { test } from 'node:test';
import { S_IFDIR } from '../../erofs/node.ts';
import { indexBytes } from '../../erofs/write.ts';
import { feed, outline } from '../../testing/layer.ts';
import * as t from '../../testing/tree.ts';
import { Changeset } from './changeset.ts';
import { type Lower, lowerOf, nothingBelow } from './lower.ts';
import { noSink } from './sink.ts';

type Pairs = readonly (readonly [string, t.Item])[];

const members = (pairs: Pairs): t.Tree => t.tree(pairs, { parents: 'omit' });

function apply(pairs: Pairs, lower: Lower | undefined = nothingBelow): Changeset {
  const changeset = new Changeset(noSink, { lower });
  feed(changeset, members(pairs));
  changeset.finish();
  return changeset;
}

/** Layers as what is below, base first. */
function below(...layers: Pairs[]): Lower {
  const indexes: Uint8Array[] = [];
  for (const pairs of layers) {
    const changeset = new Changeset(noSink, { lower: nothingBelow });
    feed(changeset, members(pairs));
    changeset.finish();
    const tag = String(indexes.length).padStart(64, '0');
    indexes.push(indexBytes(changeset.root, { devices: [{ tag, size: 1 << 20 }] }));
  }
  return lowerOf(indexes);
}

/** What a name means, whatever engine reads it. */
const NAMES: readonly [name: string, path: string][] = [
  ['./a', 'a'],
  ['/a', 'a'],
  ['//a///', 'a'],
  ['././a', 'a'],
  ['x/../a', 'a'],
  ['../a', 'a'],
  ['../../../a', 'a'],
  ['x/../../a', 'a'],
  ['x/y/../../a/.', 'a'],
  ['...', '...'],
  ['.a', '.a'],
  ['..a', '..a'],
];

for (const [name, path] of NAMES)
  test(`the member ${name} is /${path}`, () => {
    assert.deepEqual(outline(apply([[name, t.file('1')]]).root), ['/ implicit', `${path} 1`]);
  });

interface Case {
  readonly title: string;
  readonly layer: Pairs;
  readonly gives: readonly string[];
  readonly dependent?: boolean;
}

/** Layers that mean the same on whatever they lie. */
const ALONE: readonly Case[] = [
  {
    title: 'of two files of one name the last one wins',
    layer: [
      ['a', t.file('1')],
      ['a', t.file('22')],
    ],
    gives: ['/ implicit', 'a 2'],
  },
  {
    title: 'a directory that comes twice keeps its content and takes the last attributes',
    layer: [
      ['a', t.dir()],
      ['a/f', t.file()],
      ['a', t.dir({ mode: 0o700 })],
    ],
    gives: ['/ implicit', 'a/', 'a/f 0'],
  },
  {
    title: 'a file takes the place of a directory and of all that was in it',
    layer: [
      ['a', t.dir()],
      ['a/f', t.file()],
      ['a', t.file('1')],
    ],
    gives: ['/ implicit', 'a 1'],
  },
  {
    title: 'a directory that takes the place of a file is a new one: nothing lower shows in it',
    layer: [
      ['a', t.file()],
      ['a', t.dir()],
      ['a/f', t.file()],
    ],
    gives: ['/ implicit', 'a/ opaque', 'a/f 0'],
  },
  {
    title: 'a directory takes the place of a symbolic link of the same layer',
    layer: [
      ['b', t.dir()],
      ['a', t.link('b')],
      ['a', t.dir()],
      ['a/f', t.file()],
    ],
    gives: ['/ implicit', 'a/ opaque', 'a/f 0', 'b/'],
  },
  {
    title: 'a whiteout deletes what is below',
    layer: [['a', t.whiteout()]],
    gives: ['/ implicit', 'a gone'],
  },
  {
    title: 'a whiteout deletes the longest name that there is',
    layer: [['n'.repeat(255), t.whiteout()]],
    gives: ['/ implicit', `${'n'.repeat(255)} gone`],
  },
  {
    title: 'a whiteout before the same name: the new file stays',
    layer: [
      ['a', t.whiteout()],
      ['a', t.file('1')],
    ],
    gives: ['/ implicit', 'a 1'],
  },
  {
    title: 'a whiteout after the same name: the new file stays, too',
    layer: [
      ['a', t.file('1')],
      ['a', t.whiteout()],
    ],
    gives: ['/ implicit', 'a 1'],
  },
  {
    title: 'a whiteout before a directory of its name makes it opaque',
    layer: [
      ['a', t.whiteout()],
      ['a', t.dir()],
      ['a/f', t.file()],
    ],
    gives: ['/ implicit', 'a/ opaque', 'a/f 0'],
  },
  {
    title: 'a whiteout after a directory of its name makes it opaque',
    layer: [
      ['a', t.dir()],
      ['a/f', t.file()],
      ['a', t.whiteout()],
    ],
    gives: ['/ implicit', 'a/ opaque', 'a/f 0'],
  },
  {
    title: "an opaque mark after the directory's content hides lower content only",
    layer: [
      ['a', t.dir()],
      ['a/f', t.file()],
      ['a/.wh..wh..opq', t.file()],
    ],
    gives: ['/ implicit', 'a/ opaque', 'a/f 0'],
  },
  {
    title: 'a whiteout is one whatever its type and content',
    layer: [
      ['.wh.a', t.dir()],
      ['.wh.b', t.link('x')],
      ['.wh.c', t.file('content')],
    ],
    gives: ['/ implicit', 'a gone', 'b gone', 'c gone'],
  },
  {
    title: 'bookkeeping of AUFS is left out',
    layer: [
      ['.wh..wh.aufs', t.file()],
      ['.wh..wh.orph', t.dir()],
      ['.wh..wh.orph/x', t.file()],
      ['a', t.dir()],
      ['a/.wh..wh.x', t.file()],
    ],
    gives: ['/ implicit', 'a/'],
  },
  {
    title: 'hard links into the link store of AUFS are resolved, and the store is left out',
    layer: [
      ['.wh..wh.plnk', t.dir()],
      ['.wh..wh.plnk/1.2', t.file('1')],
      ['x', t.hardlink('.wh..wh.plnk/1.2')],
      ['y', t.hardlink('.wh..wh.plnk/1.2')],
    ],
    gives: ['/ implicit', 'x 1', 'y = x'],
  },
  {
    title: 'a member is written through a symbolic link of its layer',
    layer: [
      ['usr', t.dir()],
      ['usr/lib', t.dir()],
      ['lib', t.link('usr/lib')],
      ['lib/a', t.file()],
    ],
    gives: ['/ implicit', 'lib -> usr/lib', 'usr/', 'usr/lib/', 'usr/lib/a 0'],
  },
  {
    title: 'absolute links and links with .. are followed inside the root',
    layer: [
      ['a', t.dir()],
      ['a/up', t.link('../../../../b')],
      ['b', t.dir()],
      ['c', t.link('/a/up')],
      ['c/f', t.file()],
    ],
    gives: ['/ implicit', 'a/', 'a/up -> ../../../../b', 'b/', 'b/f 0', 'c -> /a/up'],
  },
  {
    title: 'a deletion below a file deletes nothing',
    layer: [
      ['a', t.file()],
      ['a/b/.wh.c', t.file()],
    ],
    gives: ['/ implicit', 'a 0'],
  },
  {
    title: 'a whiteout through a symbolic link deletes where the link leads',
    layer: [
      ['b', t.dir()],
      ['a', t.link('b')],
      ['a/f', t.whiteout()],
    ],
    gives: ['/ implicit', 'a -> b', 'b/', 'b/f gone'],
  },
  {
    title: 'a link that changes between two members is followed as it is at each',
    layer: [
      ['b', t.dir()],
      ['c', t.dir()],
      ['a', t.link('b')],
      ['a/f', t.file()],
      ['a', t.link('c')],
      ['a/f', t.file()],
    ],
    gives: ['/ implicit', 'a -> c', 'b/', 'b/f 0', 'c/', 'c/f 0'],
  },
  {
    title: "a hard link is the same file, and has its attributes, not the link entry's",
    layer: [
      ['f', t.file('12')],
      ['g', t.hardlink('f', { mode: 0o777 })],
    ],
    gives: ['/ implicit', 'f 2', 'g = f'],
  },
  {
    title: 'a hard link to a symbolic link is the same symbolic link',
    layer: [
      ['l', t.link('nowhere')],
      ['g', t.hardlink('./l')],
    ],
    gives: ['/ implicit', 'g -> nowhere', 'l = g'],
  },
  {
    title: "the directory of a hard link's target may be a symbolic link",
    layer: [
      ['b', t.dir()],
      ['b/f', t.file()],
      ['a', t.link('b')],
      ['g', t.hardlink('/a/f')],
    ],
    gives: ['/ implicit', 'a -> b', 'b/', 'b/f 0', 'g = b/f'],
  },
  {
    title: 'a hard link to itself changes nothing',
    layer: [
      ['f', t.file('1')],
      ['f', t.hardlink('f')],
    ],
    gives: ['/ implicit', 'f 1'],
  },
  {
    title: 'a name that goes away leaves the other name of the file',
    layer: [
      ['f', t.file('1')],
      ['g', t.hardlink('f')],
      ['f', t.file('22')],
    ],
    gives: ['/ implicit', 'f 2', 'g 1'],
  },
  {
    title: 'an entry for the root describes the root',
    layer: [['./', t.dir()]],
    gives: ['/'],
  },
];

/** Layers that mean something else depending on what is below; here they lie on nothing. */
const DEPENDENT: readonly Case[] = [
  {
    title: 'missing parents are added',
    layer: [['a/b/f', t.file()]],
    gives: ['/ implicit', 'a/ implicit', 'a/b/ implicit', 'a/b/f 0'],
  },
  {
    title: 'a parent that comes late is described by its entry',
    layer: [
      ['a/f', t.file()],
      ['a', t.dir()],
    ],
    gives: ['/ implicit', 'a/', 'a/f 0'],
  },
  {
    title: 'a deletion in a directory that is not there makes no directory',
    layer: [
      ['a/.wh..wh..opq', t.file()],
      ['b/x', t.whiteout()],
    ],
    gives: ['/ implicit'],
  },
  {
    title: 'a link into a directory that is not there makes the directory',
    layer: [
      ['a', t.link('b/c')],
      ['a/f', t.file()],
    ],
    gives: ['/ implicit', 'a -> b/c', 'b/ implicit', 'b/c/ implicit', 'b/c/f 0'],
  },
  {
    title: 'a link through a directory that is not there, and up again, makes no directory',
    layer: [
      ['a', t.link('none/../b')],
      ['b', t.dir()],
      ['a/f', t.file()],
    ],
    gives: ['/ implicit', 'a -> none/../b', 'b/', 'b/f 0'],
  },
  {
    title: 'an opaque root hides everything below',
    layer: [
      ['.wh..wh..opq', t.file()],
      ['f', t.file()],
    ],
    gives: ['/ implicit opaque', 'f 0'],
  },
];

for (const { title, layer, gives } of ALONE)
  test(`${title}, without asking the layers below`, () => {
    const changeset = apply(layer, undefined);
    assert.deepEqual(outline(changeset.root), gives);
    assert.equal(changeset.dependent, false);
  });

for (const { title, layer, gives } of DEPENDENT)
  test(`${title}, which only the layers below can tell`, () => {
    assert.equal(apply(layer, undefined).dependent, true);
    const changeset = apply(layer);
    assert.deepEqual(outline(changeset.root), gives);
    assert.equal(changeset.dependent, true);
  });

test('parents missing below a whiteout or an opaque directory depend on nothing', () => {
  const changeset = apply(
    [
      ['a', t.whiteout()],
      ['a/b/f', t.file()],
      ['c', t.dir()],
      ['c', t.whiteout()],
      ['c/d/f', t.file()],
    ],
    undefined,
  );
  assert.equal(changeset.dependent, false);
  assert.deepEqual(outline(changeset.root), [
    '/ implicit',
    'a/ implicit opaque',
    'a/b/ implicit',
    'a/b/f 0',
    'c/ opaque',
    'c/d/ implicit',
    'c/d/f 0',
  ]);
});

const BASE: Pairs = [
  ['./', t.dir({ mode: 0o711 })],
  ['usr', t.dir({ mode: 0o750, uid: 7, xattrs: { 'user.a': '1' } })],
  ['usr/lib', t.dir({ mode: 0o700, mtime: 5, mtimeNs: 6 })],
  ['usr/lib/so', t.file('content', { mode: 0o4755, uid: 9 })],
  ['lib', t.link('usr/lib')],
  ['loop', t.link('loop')],
  ['plain', t.file('1')],
];

const ON_BASE: readonly Case[] = [
  {
    title: 'a member is written through a symbolic link of a lower layer',
    layer: [['lib/b', t.file()]],
    gives: ['/', 'usr/ implicit', 'usr/lib/ implicit', 'usr/lib/b 0'],
  },
  {
    title: 'an entry for a directory takes the place of a lower link',
    layer: [
      ['lib', t.dir()],
      ['lib/b', t.file()],
    ],
    gives: ['/ implicit', 'lib/', 'lib/b 0'],
    dependent: false,
  },
  {
    title: 'after the link was followed, an entry for it changes where the next member goes',
    layer: [
      ['lib/b', t.file()],
      ['lib', t.dir()],
      ['lib/c', t.file()],
    ],
    gives: ['/', 'lib/', 'lib/c 0', 'usr/ implicit', 'usr/lib/ implicit', 'usr/lib/b 0'],
  },
  {
    title: 'a whiteout of a lower link hides it from later members',
    layer: [
      ['lib', t.whiteout()],
      ['lib/b', t.file()],
    ],
    gives: ['/ implicit', 'lib/ implicit opaque', 'lib/b 0'],
    dependent: false,
  },
  {
    title: 'a deletion in a lower directory brings the directory up',
    layer: [['lib/so', t.whiteout()]],
    gives: ['/', 'usr/ implicit', 'usr/lib/ implicit', 'usr/lib/so gone'],
  },
  {
    title: 'a hard link to a lower file brings that file up',
    layer: [['x', t.hardlink('lib/so')]],
    gives: ['/', 'usr/ implicit', 'usr/lib/ implicit', 'usr/lib/so 7', 'x = usr/lib/so'],
  },
  {
    title: 'a hard link to a lower symbolic link brings the link up',
    layer: [['x', t.hardlink('lib')]],
    gives: ['/', 'lib -> usr/lib', 'x = lib'],
  },
  {
    title: 'a member below a lower file makes it a directory',
    layer: [['plain/f', t.file()]],
    gives: ['/', 'plain/ implicit', 'plain/f 0'],
  },
  {
    title: 'an opaque root hides what is below name by name, as overlayfs needs it',
    layer: [
      ['usr', t.dir()],
      ['.wh..wh..opq', t.file()],
      ['new', t.file()],
    ],
    gives: ['/ opaque', 'lib gone', 'loop gone', 'new 0', 'plain gone', 'usr/ opaque'],
  },
];

for (const { title, layer, gives, dependent = true } of ON_BASE)
  test(title, () => {
    using lower = below(BASE);
    const changeset = apply(layer, lower);
    assert.deepEqual(outline(changeset.root), gives);
    assert.equal(changeset.dependent, dependent);
  });

test("missing parents take the lower directories' attributes, of the nearest layer", () => {
  using lower = below(BASE, [['usr', t.dir({ mode: 0o701, uid: 8 })]]);
  const { root } = apply([['usr/lib/x', t.file()]], lower);
  const usr = root.children!.get('usr')!;
  const lib = usr.children!.get('lib')!;
  assert.deepEqual(
    [root.mode, usr.mode, usr.uid, usr.xattrs],
    [S_IFDIR | 0o755, S_IFDIR | 0o701, 8, undefined],
  );
  assert.deepEqual([lib.mode, lib.mtime, lib.mtimeNs], [S_IFDIR | 0o700, 5, 6]);
  using base = below(BASE);
  const copied = apply([['usr/x', t.file()]], base).root.children!.get('usr')!;
  const [xattr] = copied.xattrs ?? [];
  assert.deepEqual([xattr?.name, Buffer.from(xattr?.value ?? []).toString()], ['user.a', '1']);
});

test("content of a file that was brought up lies in the lower layer's tar", () => {
  using lower = below(BASE, [['other', t.file('x')]]);
  const changeset = apply(
    [
      ['x', t.hardlink('usr/lib/so')],
      ['y', t.hardlink('other')],
    ],
    lower,
  );
  assert.deepEqual(
    changeset.lowerDevices.map(({ tag }) => Number(tag)),
    [0, 1],
  );
  const { mode, uid, size, extents } = changeset.root.children!.get('x')!;
  assert.deepEqual([mode & 0o7777, uid, size, extents?.[0]?.device], [0o4755, 9, 7, 2]);
  assert.equal(changeset.root.children!.get('y')!.extents?.[0]?.device, 3);
});

/** What no engine could make, or would make wrongly. */
const REFUSED: readonly [title: string, layer: Pairs][] = [
  ['a whiteout of nothing', [['.wh.', t.file()]]],
  [
    'a whiteout of the directory itself',
    [
      ['a', t.dir()],
      ['a/.wh..', t.file()],
    ],
  ],
  [
    'a whiteout of the parent',
    [
      ['a', t.dir()],
      ['a/.wh...', t.file()],
    ],
  ],
  ['a member below a whiteout', [['.wh.a/f', t.file()]]],
  ['the device 0:0, which would act as a whiteout', [['a', t.char(0, 0)]]],
  ['a device that does not exist', [['a', t.char(1 << 12, 0)]]],
  [
    'a member below a file',
    [
      ['a', t.file()],
      ['a/b', t.file()],
    ],
  ],
  ['a file as the root', [['./', t.file()]]],
  ['a link as the root', [['/', t.link('/etc')]]],
  ['a hard link to nothing', [['a', t.hardlink('b')]]],
  [
    'a hard link to a later file',
    [
      ['a', t.hardlink('b')],
      ['b', t.file()],
    ],
  ],
  ['a hard link to itself, without itself', [['a', t.hardlink('a')]]],
  [
    'a hard link to a directory',
    [
      ['a', t.dir()],
      ['b', t.hardlink('a')],
    ],
  ],
  ['a hard link to the root', [['b', t.hardlink('/')]]],
  [
    'a hard link to what the layer deletes',
    [
      ['a', t.whiteout()],
      ['b', t.hardlink('a')],
    ],
  ],
  [
    'a hard link in the place of its own directory',
    [
      ['a', t.dir()],
      ['a/f', t.file()],
      ['a', t.hardlink('a/f')],
    ],
  ],
  [
    'links that lead in circles',
    [
      ['a', t.link('b')],
      ['b', t.link('a')],
      ['a/f', t.file()],
    ],
  ],
  ['a symbolic link to nothing', [['a', t.link('')]]],
  ['a name longer than file systems have', [['a'.repeat(256), t.file()]]],
  ['a whiteout of a name longer than file systems have', [['a'.repeat(256), t.whiteout()]]],
  ['a path longer than the kernel takes', [['a/'.repeat(2048) + 'f', t.file()]]],
  ['an owner that means "leave it"', [['a', t.file('', { uid: 0xffff_ffff })]]],
  ['a time out of range', [['a', t.file('', { mtime: 1e300 })]]],
  ['a NUL in a name', [['a\0b', t.file()]]],
];

for (const [title, layer] of REFUSED)
  test(`${title} is refused`, () => {
    assert.throws(() => apply(layer), { code: 'INVALID_ARGUMENT' });
  });

test('symbolic links that unfold to an endless walk are refused in good time', () => {
  const wide = `${'./d/../'.repeat(500)}d`;
  const layer: (readonly [string, t.Item])[] = [
    ['d', t.dir()],
    ['l0', t.link(wide)],
  ];
  for (let i = 1; i < 39; i++) layer.push([`l${i}`, t.link(`l${i - 1}/../${wide}`)]);
  assert.throws(() => apply([...layer, ['l38/f', t.file()]]), { code: 'INVALID_ARGUMENT' });
});

for (const [what, before] of [
  ['nothing', []],
  ['a file', [['d', t.file()]]],
] as const)
  test(`a link through ${what} and back leads elsewhere once a link takes that place`, () => {
    const { root } = apply([
      ['l', t.link('d/../e')],
      ...before,
      ['l/f', t.file('1')],
      ['x/y', t.dir()],
      ['d', t.link('x/y')],
      ['l/g', t.file('22')],
    ]);
    assert.deepEqual(
      outline(root).filter((line) => /[fg] \d/.test(line)),
      ['e/f 1', 'x/e/g 2'],
    );
  });

test('directories that symbolic links nest deeper than any path are refused', () => {
  const deep = 'd/'.repeat(1500);
  const layer: Pairs = [
    [deep + 'l', t.link('.')],
    ['x', t.link(deep)],
    ['x/y', t.link(`.${'/e'.repeat(1500)}`)],
    ['x/y/f', t.file()],
  ];
  assert.throws(() => apply(layer), { code: 'INVALID_ARGUMENT' });
});

test('a link into nothing and back, again and again, does not search the layers below each time', () => {
  let asked = 0;
  const lower: Lower = {
    find: () => void asked++,
    [Symbol.dispose]() {},
  };
  const detours = (count: number): Pairs => [
    ['l', t.link('n/../'.repeat(count))],
    ['l/f', t.file()],
  ];
  assert.throws(() => apply(detours(800), lower), { code: 'INVALID_ARGUMENT' });
  assert.ok(asked < 100, `asked ${asked} times`);
  assert.deepEqual(outline(apply(detours(20), lower).root), [
    '/ implicit',
    'f 0',
    `l -> ${'n/../'.repeat(20)}`,
  ]);
});

test('the pieces of sparse files count as what a layer may take of memory', () => {
  const pieces = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [i * 1024, 'x']));
  const layer = members([['disk', t.sparse(1 << 20, pieces)]]);
  const weighed = (text: number): Changeset =>
    new Changeset(noSink, { lower: nothingBelow, limits: { text } });
  assert.throws(() => feed(weighed(3000), layer), { code: 'RESOURCE_EXHAUSTED' });
  feed(weighed(4000), layer);
});

test('attributes that overlays keep for themselves never take effect', () => {
  const xattrs = {
    'trusted.overlay.opaque': 'y',
    'user.overlay.redirect': '/etc',
    'user.overlay.origin': '',
    'user.containers.override_stat': '0:0:4755',
    'user.fuseoverlayfs.opaque': 'y',
    'user.kept': '1',
  };
  const { root } = apply([
    ['a', t.dir({ xattrs })],
    ['f', t.file('', { xattrs })],
    ['./', t.dir({ xattrs })],
  ]);
  for (const node of [root, ...root.children!.values()])
    assert.deepEqual(
      node.xattrs?.map(({ name }) => name),
      ['user.kept'],
    );
});

test('directories with whiteouts are marked so that the kernel does not list them', () => {
  const { root } = apply([
    ['a', t.dir()],
    ['a/x', t.whiteout()],
  ]);
  const names = root.children!.get('a')!.xattrs?.map(({ name }) => name);
  assert.deepEqual(names, ['trusted.overlay.origin']);
  assert.equal(root.xattrs, undefined);
});

test('names and targets are bytes', () => {
  const name = Buffer.from([0xff, 0x2e, 0xc3]);
  const layer = t.tree([[name, t.link(Buffer.from([0x80]))]]);
  const changeset = new Changeset(noSink, { lower: nothingBelow });
  feed(changeset, layer);
  assert.deepEqual(outline(changeset.root), ['/ implicit', '\xff.\xc3 -> \x80']);
});

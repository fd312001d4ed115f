import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  closeSync,
  existsSync,
  ftruncateSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { S_IFIFO } from '../../erofs/node.ts';
import { Pace } from '../../io/pace.ts';
import { removeTree } from '../../fs/remove.ts';
import { AT_FDCWD, mknodat, utimensat } from '../../sys/at.ts';
import { setXattr } from '../../sys/xattr.ts';
import { describeDirectory } from '../../testing/describe.ts';
import { type Edited, edited, tarOfChanges } from '../../testing/edited-stack.ts';
import { layerListing } from '../../testing/layer-listing.ts';
import { needs } from '../../testing/need.ts';
import { dir, file, hardlink, type Items, tarOf, tree } from '../../testing/tree.ts';
import { unpackStack } from '../../testing/unpack-stack.ts';
import { treeChanges, upperChanges } from './diff.ts';
import { writeLayerTar } from './tar.ts';

const sourceDateEpoch = 1_700_000_000;
const skip = needs('overlay');
const KINDS = ['overlay2', 'vfs'] as const;

interface Case extends Edited {
  readonly tar: Buffer;
  /** Members, a line each, without the root. */
  readonly members: string[];
  readonly work: string;
}

/** Edits a layer both ways, wants one archive, and the edited tree of it. */
async function both(
  base: Items,
  edit: (root: string) => void,
  look: (found: Case) => void | Promise<void> = () => {},
): Promise<string[]> {
  await using work = await mkdtempDisposable(join(tmpdir(), 'diff-tar-'));
  const tars = [tarOf(tree(base))];
  const all: Case[] = [];
  for (const kind of KINDS) {
    const place = join(work.path, kind);
    const found = await edited(tars, kind, place, edit);
    const tar = await tarOfChanges(found.changes, { sourceDateEpoch });
    const exact = await tarOfChanges(found.changes);
    const layers = await unpackStack([...tars, exact], 'direct', join(place, 'again'));
    const again = join(layers.at(-1)!.directory, 'fs');
    assert.equal(describeDirectory(again), found.tree, kind);
    const members = layerListing(tar)
      .split('\n')
      .filter((line) => !line.startsWith('directory ./ '));
    all.push({ ...found, tar, members, work: place });
    await look(all.at(-1)!);
  }
  assert.deepEqual(all[0]!.members, all[1]!.members);
  assert.ok(all[0]!.tar.equals(all[1]!.tar));
  return all[0]!.members.map((line) => line.split(' ').slice(0, 2).join(' '));
}

/** Makes a file anew that looks the same. */
function rewrite(path: string, content: string): void {
  const { mtimeMs } = lstatSync(path);
  rmSync(path);
  writeFileSync(path, content, { mode: 0o644 });
  utimesSync(path, mtimeMs / 1000, mtimeMs / 1000);
}

test(
  'what was deleted comes before its siblings, an opaque mark right behind its directory',
  { skip },
  async () => {
    const members = await both(
      { 'a/x': file(''), 'a/y': file(''), 'b/x': file(''), 'b/y': file(''), z: file('') },
      (root) => {
        rmSync(join(root, 'a'), { recursive: true });
        mkdirSync(join(root, 'a'));
        writeFileSync(join(root, 'a/!'), '');
        rmSync(join(root, 'b/y'));
        writeFileSync(join(root, 'b/!'), '');
        rmSync(join(root, 'z'));
      },
    );
    assert.deepEqual(members, [
      'file .wh.z',
      'directory a/',
      'file a/.wh..wh..opq',
      'file a/!',
      'directory b/',
      'file b/.wh.y',
      'file b/!',
    ]);
  },
);

test(
  'however a directory was emptied, the archive says it once; below it nothing is said again',
  { skip },
  async () => {
    const base = { 'd/a': file(''), 'd/b/c': file(''), 'd/b/e': file(''), k: file('') };
    const wanted = ['directory d/', 'file d/.wh..wh..opq', 'directory d/b/', 'file d/b/c'];
    const one = (root: string): void => {
      rmSync(join(root, 'd'), { recursive: true });
      mkdirSync(join(root, 'd/b'), { recursive: true });
      writeFileSync(join(root, 'd/b/c'), 'new');
    };
    const other = (root: string): void => {
      for (const name of ['d/a', 'd/b/e']) rmSync(join(root, name));
      writeFileSync(join(root, 'd/b/c'), 'new');
    };
    assert.deepEqual(await both(base, one), wanted);
    assert.deepEqual(await both(base, other), wanted);
  },
);

test('a type changes without a whiteout', { skip }, async () => {
  const members = await both(
    { 'was-directory/x': file(''), 'was-file': file(''), 'was-link/x': file('') },
    (root) => {
      rmSync(join(root, 'was-directory'), { recursive: true });
      writeFileSync(join(root, 'was-directory'), '');
      rmSync(join(root, 'was-file'));
      mkdirSync(join(root, 'was-file'));
      writeFileSync(join(root, 'was-file/x'), '');
      rmSync(join(root, 'was-link'), { recursive: true });
      symlinkSync('was-file', join(root, 'was-link'));
    },
  );
  assert.deepEqual(members, [
    'file was-directory',
    'directory was-file/',
    'file was-file/x',
    'symlink was-link',
  ]);
});

test(
  'all names of a file are in the layer if one is new, and stay one file',
  { skip },
  async () => {
    const base = {
      'a/first': file('linked'),
      'b/second': hardlink('a/first'),
      'c/single': file('single'),
      'd/untouched': file('untouched'),
      'd/with': hardlink('d/untouched'),
      'e/copy': file('equal'),
      'e/other': file('equal'),
    };
    const members = await both(base, (root) => {
      linkSync(join(root, 'c/single'), join(root, 'c/also'));
      // What was two files that look the same is one.
      rmSync(join(root, 'e/other'));
      linkSync(join(root, 'e/copy'), join(root, 'e/other'));
    });
    assert.deepEqual(members, [
      'directory c/',
      'file c/also',
      'link c/single',
      'directory e/',
      'file e/copy',
      'link e/other',
    ]);
  },
);

test('a hard link that was broken for nothing is whole again', { skip }, async () => {
  await using work = await mkdtempDisposable(join(tmpdir(), 'diff-tar-'));
  const base = tree({ one: file('linked'), two: hardlink('one') });
  for (const kind of KINDS) {
    const { changes } = await edited([tarOf(base)], kind, join(work.path, kind), (root) => {
      rewrite(join(root, 'two'), 'linked');
      lutimesSync(root, 0, 0);
      assert.notEqual(lstatSync(join(root, 'one')).ino, lstatSync(join(root, 'two')).ino);
    });
    assert.deepEqual(changes.list, []);
  }
});

test('what a directory in it keeps, an emptied directory keeps', { skip }, async () => {
  const base = { 'd/gone': file(''), 'd/sub/kept': file(''), 'd/other/deep/kept': file('') };
  const members = await both(base, (root) => {
    rmSync(join(root, 'd/gone'));
    writeFileSync(join(root, 'd/sub/new'), '');
    writeFileSync(join(root, 'd/other/deep/new'), '');
  });
  assert.deepEqual(members.slice(0, 2), ['directory d/', 'file d/.wh.gone']);
});

test(
  'a file that looks the same and has other content is a change; one that is the same is none',
  { skip },
  async () => {
    const base = { same: file('same'), other: file('1234'), linked: file('x'), d: dir() };
    const members = await both(
      base,
      (root) => {
        rewrite(join(root, 'same'), 'same');
        rewrite(join(root, 'other'), '4321');
      },
      async ({ upper, parents, changes }) => {
        if (changes.list.length === 0) return;
        // With the moment at which the copy was made, what changed since is still looked into.
        const since = { seconds: Math.floor(Date.now() / 1000) + 5, nanoseconds: 0 };
        const before = { seconds: 0, nanoseconds: 0 };
        const compare = async (moment: typeof since): Promise<string[]> =>
          (await treeChanges(upper.path, { parents, since: moment })).list.map(({ path }) => path);
        if (!existsSync(join(upper.path, 'linked'))) return;
        assert.deepEqual(await compare(before), ['', 'other']);
        assert.deepEqual(await compare(since), ['']);
      },
    );
    assert.deepEqual(members, ['file other']);
  },
);

test(
  'holes are told by the content: however a file was written, at whole blocks, and read back',
  { skip },
  async () => {
    const members = await both(
      {},
      (root) => {
        const holes = openSync(join(root, 'holes'), 'w');
        writeSync(holes, 'begin', 0);
        writeSync(holes, 'end', 3 << 20);
        writeSync(holes, 'late', (2 << 20) + 1000);
        ftruncateSync(holes, (5 << 20) + 7);
        closeSync(holes);
        const zeros = Buffer.alloc((5 << 20) + 7);
        zeros.write('begin', 0);
        zeros.write('end', 3 << 20);
        zeros.write('late', (2 << 20) + 1000);
        writeFileSync(join(root, 'zeros'), zeros);
        writeFileSync(join(root, 'small'), Buffer.alloc(1000));
        const data = Buffer.alloc(2 << 20, 1);
        data.fill(0, 64, 900_000);
        writeFileSync(join(root, 'data'), data);
      },
      ({ tar, members: lines }) => {
        const [holes, zeros] = ['holes', 'zeros'].map((name) =>
          lines.find((line) => line.includes(` ${name} `)),
        );
        assert.match(holes!, /sparse:0\+65536,2097152\+65536,3145728\+65536$/);
        assert.equal(holes!.replace('holes', 'zeros'), zeros);
        assert.ok(lines.every((line) => /holes|zeros/.test(line) || !line.includes('sparse')));
        assert.ok(tar.length < 3 << 20);
      },
    );
    assert.deepEqual(members, ['file data', 'file holes', 'file small', 'file zeros']);
  },
);

test(
  'attributes are exact: times, ids, modes, xattrs; the machine’s own are left out',
  { skip },
  async () => {
    await using work = await mkdtempDisposable(join(tmpdir(), 'diff-tar-'));
    const { changes } = await edited([], 'overlay2', join(work.path, 'w'), (root) => {
      writeFileSync(join(root, 'f'), 'x');
      const fd = openSync(join(root, 'f'), 'r');
      setXattr(fd, 'user.note', Buffer.from('a=b'));
      setXattr(fd, 'trusted.kept', Buffer.from([1]));
      setXattr(fd, 'user.overlay.opaque', Buffer.from('y'));
      closeSync(fd);
      execFileSync('chown', ['70000:4294967294', join(root, 'f')]);
      chmodSync(join(root, 'f'), 0o4751);
      utimensat(AT_FDCWD, join(root, 'f'), -5, 123_456_789);
      mknodat(AT_FDCWD, join(root, 'p'), S_IFIFO | 0o622);
      utimensat(AT_FDCWD, join(root, 'p'), 5_000_000_000, 1);
      utimensat(AT_FDCWD, root, 7, 0);
    });
    assert.deepEqual(layerListing(await tarOfChanges(changes)).split('\n'), [
      'directory ./ 755 0:0 0 7.000000000',
      'file f 4751 70000:4294967294 1 -5.123456789 trusted.kept=\u0001 user.note=a=b',
      'fifo p 600 0:0 0 5000000000.000000001',
    ]);
    const clamped = layerListing(await tarOfChanges(changes, { sourceDateEpoch: 6 }));
    assert.match(clamped, /fifo p 600 0:0 0 6\.000000000/);
    assert.match(clamped, / -5\.123456789/);
  },
);

test('names are bytes, up to 255 of them, and so are deleted ones', { skip }, async () => {
  const long = 'n'.repeat(255);
  const bytes = Buffer.from([0x66, 0xff, 0x0a, 0xfe]);
  const members = await both(
    { [long]: file('') },
    (root) => {
      rmSync(join(root, long));
      writeFileSync(Buffer.concat([Buffer.from(`${root}/`), bytes]), '');
      mkdirSync(join(root, 'm'.repeat(255)));
    },
    ({ changes }) => assert.ok(changes.list.some(({ path }) => path === bytes.toString('latin1'))),
  );
  assert.equal(members[0], `file .wh.${long}`);
});

const CHANGES_WHILE_READ: readonly (readonly [what: string, change: (path: string) => void])[] = [
  ['grew', (path) => appendFileSync(path, 'more')],
  ['shrank', (path) => truncateSync(path, 1)],
  ['was written over', (path) => writeFileSync(path, 'other')],
  ['went away', (path) => unlinkSync(path)],
  ['was replaced', (path) => (writeFileSync(`${path}-`, 'files'), renameSync(`${path}-`, path))],
  ['became a link', (path) => (unlinkSync(path), symlinkSync('/etc/passwd', path))],
  ['became a fifo', (path) => (unlinkSync(path), mknodat(AT_FDCWD, path, S_IFIFO | 0o600))],
  ['became a directory', (path) => (unlinkSync(path), mkdirSync(path))],
];

for (const [what, change] of CHANGES_WHILE_READ)
  test(`a file that ${what} while it was read is refused`, { skip: needs('root') }, async () => {
    await using work = await mkdtempDisposable(join(tmpdir(), 'diff-tar-'));
    const path = join(work.path, 'file');
    writeFileSync(path, 'files');
    const changes = await upperChanges({ path: work.path, whiteouts: 'overlay' });
    change(path);
    await assert.rejects(tarOfChanges(changes), { code: 'FAILED_PRECONDITION' });
  });

for (const [what, change] of [
  ['shrinks', (path: string) => truncateSync(path, 1 << 20)],
  ['is written to', (path: string) => writeFileSync(path, 'x', { flag: 'r+' })],
] as const)
  test(
    `a file that ${what} in the middle of its reading is refused`,
    { skip: needs('root') },
    async () => {
      await using work = await mkdtempDisposable(join(tmpdir(), 'diff-tar-'));
      const path = join(work.path, 'file');
      writeFileSync(path, Buffer.alloc(64 << 20, 1));
      const changes = await upperChanges({ path: work.path, whiteouts: 'overlay' });
      let pieces = 0;
      const sink = (): void => {
        if (++pieces === 10) change(path);
      };
      await assert.rejects(writeLayerTar(changes, sink, new Pace()), {
        code: 'FAILED_PRECONDITION',
      });
    },
  );

test(
  'directories may be deep; deeper than any path they are refused',
  { skip: needs('root') },
  async () => {
    await using work = await mkdtempDisposable(join(tmpdir(), 'diff-tar-'));
    const before = process.cwd();
    const name = 'd'.repeat(100);
    try {
      process.chdir(work.path);
      for (let depth = 0; depth < 40; depth++) {
        mkdirSync(name);
        process.chdir(name);
      }
      const upper = { path: work.path, whiteouts: 'overlay' } as const;
      assert.equal((await upperChanges(upper)).list.length, 41);
      await tarOfChanges(await upperChanges(upper));
      mkdirSync(name);
      await assert.rejects(upperChanges(upper), { code: 'INVALID_ARGUMENT' });
    } finally {
      process.chdir(before);
      removeTree(work.path);
    }
  },
);

test('what may not be read is named', { skip: needs('root') }, async () => {
  await using work = await mkdtempDisposable(join(tmpdir(), 'diff-tar-'));
  chmodSync(work.path, 0o755);
  mkdirSync(join(work.path, 'secret'), { mode: 0o700 });
  const program = `
    const { upperChanges } = await import(${JSON.stringify(new URL('./diff.ts', import.meta.url).href)});
    await upperChanges({ path: ${JSON.stringify(work.path)}, whiteouts: 'overlay' }).then(
      () => console.log('read'), (error) => console.log(error.code, error.message));`;
  const said = execFileSync(process.execPath, ['--input-type=module', '-e', program], {
    encoding: 'utf8',
    uid: 65534,
  });
  assert.match(said, /^PERMISSION_DENIED .*secret/);
});

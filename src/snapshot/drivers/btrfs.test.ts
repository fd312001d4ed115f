import assert from 'node:assert/strict';
import {
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { removeTree } from '../../fs/remove.ts';
import {
  AT_FDCWD,
  close,
  mkdirat,
  O_DIRECTORY,
  openat,
  RENAME_EXCHANGE,
  renameat,
} from '../../sys/at.ts';
import {
  createSubvolume,
  setReadonly,
  snapshotSubvolume,
  subvolumeOf,
  takesSpace,
} from '../../sys/btrfs/subvolume.ts';
import { loopFileSystem } from '../../testing/drivers/environment.ts';
import type { Environment } from '../../testing/drivers/suite.ts';
import { within } from '../../testing/mounted.ts';
import { needs } from '../../testing/need.ts';
import type { Driver, Snapshot } from '../driver.ts';
import { btrfs, type BtrfsOptions } from './btrfs.ts';
import { openDirectory } from './btrfs/open-directory.ts';
import { btrfsRefusal } from './btrfs/probe.ts';

const skip = needs('btrfs');
const MIB = 2 ** 20;

describe('btrfs', () => {
  let environment: Environment;
  before(async () => {
    if (skip === false) environment = await loopFileSystem('btrfs')({ small: false });
  });
  after(() => environment?.[Symbol.asyncDispose]());
  let stages = 0;

  interface Stage {
    readonly driver: Driver;
    /** The store. */
    readonly layers: string;
    /** A directory beside it. */
    readonly beside: string;
    /** Makes a snapshot on others, lets `change` it, and seals it. */
    readonly commit: (
      id: string,
      parents: readonly string[],
      change: (root: string) => void,
    ) => Promise<void>;
    /** Lets `use` a writable snapshot that is mounted. */
    readonly active: (
      id: string,
      parents: readonly string[],
      use: (root: string) => void,
    ) => Promise<void>;
  }

  const onBtrfs = (
    title: string,
    body: (stage: Stage) => Promise<void>,
    options?: BtrfsOptions,
  ): void =>
    void test(title, { skip }, async () => {
      const place = join(environment.path, String(++stages));
      const [layers, beside, target] = ['layers', 'beside', 'target'].map((name) =>
        join(place, name),
      );
      for (const path of [place, layers!, beside!, target!]) mkdirSync(path);
      const driver = btrfs(layers!, options);
      const active: Stage['active'] = async (id, parents, use) => {
        const snapshot = { id, kind: 'active', parents } as const;
        await driver.create(snapshot);
        await within(await driver.mounts!(snapshot), target!, use);
      };
      await body({
        driver,
        layers: layers!,
        beside: beside!,
        active,
        async commit(id, parents, change) {
          await active(id, parents, change);
          await driver.seal!({ id, kind: 'active', parents });
        },
      });
    });

  onBtrfs(
    'a layer cannot be written to any more, filled or sealed',
    async ({ driver, layers, commit }) => {
      await commit('1', [], () => {});
      await driver.create({ id: '2', kind: 'committed', parents: ['1'] });
      writeFileSync(join(layers, '2/fs/filled'), '');
      await driver.filled!({ id: '2', kind: 'committed', parents: ['1'] });
      for (const id of ['1', '2'])
        assert.throws(() => writeFileSync(join(layers, id, 'fs/x'), ''), { code: 'EROFS' });
    },
  );

  onBtrfs(
    'subvolumes that programs have made are removed, read-only ones too, and nothing that they lead to',
    async ({ driver, layers, beside, active }) => {
      writeFileSync(join(beside, 'kept'), '');
      const ids: number[] = [];
      await active('1', [], (root) => {
        mkdirSync(join(root, 'deep/er'), { recursive: true });
        ids.push(makeSubvolume(join(root, 'deep/er'), 'outer'));
        const outer = join(root, 'deep/er/outer');
        symlinkSync(beside, join(outer, 'link'));
        ids.push(makeSubvolume(outer, 'inner'), makeSubvolume(join(outer, 'inner'), 'innermost'));
        writeFileSync(join(outer, 'inner/innermost/file'), 'x');
        for (const path of ['outer/inner/innermost', 'outer/inner', 'outer'])
          freeze(join(root, 'deep/er', path));
      });
      using directory = openDirectory(layers);
      assert.ok(ids.every((id) => takesSpace(directory.fd, id)));
      await driver.remove({ id: '1', kind: 'active', parents: [] });
      await driver.purge!();
      assert.deepEqual(readdirSync(layers), []);
      assert.deepEqual(
        ids.filter((id) => takesSpace(directory.fd, id)),
        [],
      );
      assert.deepEqual(readdirSync(beside), ['kept']);
    },
  );

  onBtrfs(
    'what is in subvolumes that programs have made is seen by children',
    async ({ driver, layers, commit, active }) => {
      await commit('1', [], (root) => {
        mkdirSync(join(root, 'a'));
        makeSubvolume(join(root, 'a'), 'outer');
        writeFileSync(join(root, 'a/outer/file'), 'outer');
        makeSubvolume(join(root, 'a/outer'), 'inner');
        writeFileSync(join(root, 'a/outer/inner/file'), 'inner');
        using source = openDirectory(root);
        snapshotSubvolume(source.fd, source.fd, 'copy');
        freeze(join(root, 'copy'));
        utimesSync(join(root, 'a'), 7, 7);
      });
      await active('2', ['1'], (root) => {
        assert.equal(readFileSync(join(root, 'a/outer/file'), 'utf8'), 'outer');
        assert.equal(readFileSync(join(root, 'a/outer/inner/file'), 'utf8'), 'inner');
        assert.deepEqual(readdirSync(root).sort(), ['a', 'copy']);
        assert.equal(statSync(join(root, 'a')).mtimeMs, 7000);
        writeFileSync(join(root, 'a/outer/new'), '');
        rmSync(join(root, 'a'), { recursive: true });
      });
      assert.equal(
        await driver.touched!(child('2', '1')).then((touched) => touched?.within('').mayLack),
        true,
      );
      assert.equal(subvolumesIn(join(layers, '1/fs')), 1);
    },
  );

  onBtrfs(
    'read-only subvolumes are removed from directories, too: a volume or a copy may have them',
    async ({ beside }) => {
      makeSubvolume(beside, 'outer');
      mkdirSync(join(beside, 'outer/deep'));
      makeSubvolume(join(beside, 'outer/deep'), 'inner');
      writeFileSync(join(beside, 'outer/deep/inner/file'), '');
      freeze(join(beside, 'outer/deep/inner'));
      freeze(join(beside, 'outer'));
      removeTree(beside);
      assert.equal(existsSync(beside), false);
    },
  );

  onBtrfs('sealing can be cut short, and repeated', async ({ driver, layers, active }) => {
    const copyOf: string[] = [];
    await active('1', [], (root) => {
      for (const name of ['one', 'two']) {
        copyOf.push(`.mica-subvolume-${makeSubvolume(root, name)}`);
        writeFileSync(join(root, name, 'file'), name);
      }
      // Killed while it copied the one, and before it removed the other.
      for (const name of copyOf) mkdirSync(join(root, name));
      writeFileSync(join(root, copyOf[0]!, 'half'), '');
      writeFileSync(join(root, copyOf[1]!, 'file'), 'two');
      renameat(AT_FDCWD, join(root, copyOf[1]!), AT_FDCWD, join(root, 'two'), RENAME_EXCHANGE);
    });
    await driver.seal!({ id: '1', kind: 'active', parents: [] });
    await driver.seal!({ id: '1', kind: 'active', parents: [] });
    const root = join(layers, '1/fs');
    assert.deepEqual(readdirSync(root).sort(), ['one', 'two']);
    for (const name of ['one', 'two'])
      assert.equal(readFileSync(join(root, name, 'file'), 'utf8'), name);
  });

  onBtrfs(
    'a limit is of what is written, not of what the parents have, and no less than is allowed',
    async ({ driver, commit, layers }) => {
      await commit('1', [], (root) => writeFileSync(join(root, 'big'), Buffer.alloc(24 * MIB, 1)));
      await driver.create(child('2', '1'), { maxSize: 8 * MIB });
      const root = join(layers, '2/fs');
      writeFileSync(join(root, 'fits'), Buffer.alloc(4 * MIB, 1));
      assert.throws(() => writeFileSync(join(root, 'too much'), Buffer.alloc(8 * MIB, 1)), {
        errno: -122,
      });
      assert.equal((await driver.status!())['Quotas'], 'full');
      await driver.remove(child('2', '1'));
      await driver.purge!();
      await assert.rejects(driver.create(child('3', '1'), { maxSize: 3 * MIB }), {
        code: 'INVALID_ARGUMENT',
        message: /btrfs\.min_space is 4194304/,
      });
      assert.deepEqual(readdirSync(layers), ['1']);
    },
    { minSpace: 4 * MIB },
  );

  onBtrfs(
    'a child has for its own what it has written, block by block',
    async ({ driver, commit, active, layers }) => {
      await commit('1', [], (root) => writeFileSync(join(root, 'big'), Buffer.alloc(8 * MIB, 1)));
      const sizes: number[] = [];
      const measure = async (): Promise<void> =>
        void sizes.push((await driver.usage(child('2', '1'))).size);
      await active('2', ['1'], () => {});
      await measure();
      const big = join(layers, '2/fs/big');
      copyFileSync(big, join(layers, '2/fs/copy'), constants.COPYFILE_FICLONE_FORCE);
      await measure();
      writeFileSync(big, Buffer.alloc(4096, 2), { flag: 'r+' });
      await measure();
      writeFileSync(join(layers, '2/fs/new'), Buffer.alloc(MIB, 3));
      await measure();
      assert.deepEqual(sizes, [0, 0, 4096, 4096 + MIB]);
      assert.ok((await driver.usage({ id: '1', kind: 'committed', parents: [] })).size >= 8 * MIB);
    },
  );

  onBtrfs(
    'what is in subvolumes that programs have made is counted, too',
    async ({ driver, active }) => {
      await active('1', [], (root) => {
        makeSubvolume(root, 'own');
        writeFileSync(join(root, 'own/big'), Buffer.alloc(2 * MIB, 1));
      });
      const { size } = await driver.usage({ id: '1', kind: 'active', parents: [] });
      assert.ok(size >= 2 * MIB && size < 3 * MIB, String(size));
    },
  );

  onBtrfs(
    'a tree that a program has made read-only can be sealed, and removed',
    async ({ driver, layers, active, commit }) => {
      await commit('1', [], (root) => {
        makeSubvolume(root, 'own');
        freeze(root);
      });
      assert.equal(subvolumesIn(join(layers, '1/fs')), 1);
      await active('2', ['1'], (root) => {
        makeSubvolume(join(root, 'own'), 'own');
        freeze(root);
      });
      await driver.remove(child('2', '1'));
      assert.deepEqual(readdirSync(layers), ['1']);
    },
  );

  onBtrfs('reading leaves no traces in a container', async ({ driver, commit, active }) => {
    await commit('1', [], (root) => writeFileSync(join(root, 'file'), 'x'));
    await active('2', ['1'], (root) => {
      assert.equal(readFileSync(join(root, 'file'), 'utf8'), 'x');
      assert.deepEqual(readdirSync(root), ['file']);
    });
    const touched = await driver.touched!(child('2', '1'));
    assert.deepEqual(touched?.within(''), { names: [], mayLack: false });
  });

  onBtrfs(
    'what changed below ever so many directories is told',
    async ({ driver, commit, active }) => {
      const levels = 20_000;
      await commit('1', [], (root) => close(descend(root, levels, { make: true })));
      await active('2', ['1'], (root) => {
        const deepest = descend(root, levels);
        mkdirat(deepest, 'new', 0o755);
        close(deepest);
      });
      const touched = await driver.touched!(child('2', '1'));
      assert.deepEqual(touched?.within(''), { names: ['d'], mayLack: false });
      const deepest = Array.from({ length: levels }, () => 'd').join('/');
      assert.deepEqual(touched?.within(deepest), { names: ['new'], mayLack: true });
    },
  );

  onBtrfs(
    'a subvolume below ever so many directories is refused by its path',
    async ({ driver, active }) => {
      await active('1', [], (root) => {
        const deepest = descend(root, 20_000, { make: true });
        createSubvolume(deepest, 'sub');
        close(deepest);
      });
      const sealed = driver.seal!({ id: '1', kind: 'active', parents: [] });
      await assert.rejects(sealed, { name: 'MicaError', code: 'INVALID_ARGUMENT' });
    },
  );

  onBtrfs(
    'a layer that was copied as files is refused as a parent',
    async ({ driver, layers, commit }) => {
      await commit('1', [], () => {});
      renameSync(join(layers, '1'), join(layers, 'moved'));
      mkdirSync(join(layers, '1/fs'), { recursive: true });
      await assert.rejects(driver.create(child('2', '1')), {
        code: 'FAILED_PRECONDITION',
        message: /is no subvolume/,
      });
    },
  );

  onBtrfs('it works where it is tried, and the trial leaves nothing', async ({ beside }) => {
    assert.equal(btrfsRefusal(beside), undefined);
    assert.deepEqual(readdirSync(beside), []);
  });

  test('a layer is not gone because its file system is not mounted', { skip }, async () => {
    await assert.rejects(btrfs('/proc').remove({ id: 'x', kind: 'committed', parents: [] }), {
      code: 'UNAVAILABLE',
      message: /does not lie on btrfs now; mount/,
    });
  });

  test('it is refused off btrfs, with advice', { skip }, () =>
    assert.match(btrfsRefusal('/proc') ?? '', /not on a btrfs file system; choose a --root/),
  );
});

const child = (id: string, parent: string): Snapshot => ({ id, kind: 'active', parents: [parent] });

function makeSubvolume(parent: string, name: string): number {
  using directory = openDirectory(parent);
  createSubvolume(directory.fd, name);
  using made = openDirectory(join(parent, name));
  return subvolumeOf(made.fd).id;
}

/** @returns a descriptor of the directory that many levels below `path` */
function descend(path: string, levels: number, { make = false } = {}): number {
  let at = openat(AT_FDCWD, path, O_DIRECTORY);
  for (let level = 0; level < levels; level++) {
    if (make) mkdirat(at, 'd', 0o755);
    const below = openat(at, 'd', O_DIRECTORY);
    close(at);
    at = below;
  }
  return at;
}

function freeze(path: string): void {
  using root = openDirectory(path);
  setReadonly(root.fd, true);
}

/** How many devices a tree is on, as the kernel tells: each subvolume is one. */
const subvolumesIn = (root: string): number =>
  new Set(
    ['', ...readdirSync(root, { recursive: true, encoding: 'utf8' })].map(
      (path) => statSync(join(root, path)).dev,
    ),
  ).size;

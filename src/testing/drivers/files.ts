import assert from 'node:assert/strict';
import {
  appendFileSync,
  chmodSync,
  closeSync,
  existsSync,
  ftruncateSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { S_IFDIR, S_IFMT } from '../../erofs/node.ts';
import { walk } from '../../fs/walk.ts';
import { utimensat } from '../../sys/at.ts';
import { inUserNamespace } from '../../sys/userns.ts';
import { describeDirectory } from '../describe.ts';
import { makeNastyTree } from '../nasty-tree.ts';
import { file, hardlink, sparse, tree } from '../tree.ts';
import type { Checks } from './check.ts';
import type { DriverSuite } from './suite.ts';

const MIB = 1 << 20;

/** What a file is made of comes through layers, and through being changed above them. */
export function checkFiles({ check, see }: Checks, { limits }: DriverSuite): void {
  const makeTree = (root: string): void =>
    makeNastyTree(root, { mostOwner: limits?.owners?.most, lastTime: limits?.times?.last });
  // Devices, capabilities and trusted xattrs are for the root of the machine.
  if (!inUserNamespace())
    see(
      'owners, modes, times, xattrs, ACLs, capabilities, devices, holes, links and odd names are seen by children',
      async ({ commit, view }) => {
        const seen: string[] = [];
        const look = (root: string): void => void seen.push(describeDirectory(root));
        await commit('1', [], (root) => {
          makeTree(root);
          look(root);
        });
        await commit('2', ['1']);
        await view(['1'], look);
        await view(['2', '1'], look);
        assert.equal(seen[1], seen[0]);
        assert.equal(seen[2], seen[0]);
      },
    );

  if (!inUserNamespace())
    see('a file that is touched in a child keeps all else that it has', async (stage) => {
      const { driver, commit, view } = stage;
      let [before, after] = ['', ''];
      await commit('1', [], makeTree);
      // What happens to hard links is another matter.
      const describe = (root: string): string =>
        describeDirectory(root)
          .split('\n')
          .filter((line) => driver.upper === undefined || line.split('\t')[6] === '1')
          .join('\n');
      await view(['1'], (root) => (before = describe(root)));
      await commit('2', ['1'], (root) => touchAll(root, driver.upper === undefined));
      await view(['2', '1'], (root) => (after = describe(root)));
      assert.equal(after, before);
    });

  see('what is written to a large file of a parent is seen in the child only', async (stage) => {
    const { commit, view } = stage;
    const size = 3 * MIB + 5;
    await commit('1', [], (root) => writeFileSync(join(root, 'large'), Buffer.alloc(size, 'a')));
    await commit('2', ['1'], (root) => {
      const fd = openSync(join(root, 'large'), 'r+');
      writeSync(fd, 'changed', MIB + 1);
      closeSync(fd);
      appendFileSync(join(root, 'large'), 'more');
    });
    const wanted = Buffer.alloc(size + 4, 'a');
    wanted.write('changed', MIB + 1);
    wanted.write('more', size);
    await view(['2', '1'], (root) => assert.ok(wanted.equals(readFileSync(join(root, 'large')))));
    await view(['1'], (root) =>
      assert.ok(readFileSync(join(root, 'large')).equals(Buffer.alloc(size, 'a'))),
    );
  });

  const holey = limits?.holes === undefined ? check : (): void => {};
  holey('a sparse file that is unpacked takes only what it holds', async ({ driver, unpack }) => {
    await unpack('1', tree({ sparse: sparse(512 * MIB, { [256 * MIB]: 'x'.repeat(4096) }) }));
    const { size } = await driver.usage({ id: '1', kind: 'committed', parents: [] });
    assert.ok(size < 2 * MIB, `${size}`);
  });

  see('a sparse file stays sparse, sealed, below a child, and changed there', async (stage) => {
    const { driver, commit, view } = stage;
    const size = 512 * MIB;
    await commit('1', [], (root) => {
      const fd = openSync(join(root, 'sparse'), 'w');
      writeSync(fd, 'in the middle', 256 * MIB);
      ftruncateSync(fd, size);
      closeSync(fd);
    });
    await commit('2', ['1'], (root) => appendFileSync(join(root, 'sparse'), 'end'));
    for (const id of ['1', '2']) {
      const usage = await driver.usage({ id, kind: 'committed', parents: id === '1' ? [] : ['1'] });
      assert.ok(usage.size < 2 * MIB, `${id}: ${usage.size}`);
    }
    await view(['2', '1'], (root) => {
      const found = lstatSync(join(root, 'sparse'));
      assert.equal(found.size, size + 3);
      const bytes = Buffer.alloc(13);
      const fd = openSync(join(root, 'sparse'), 'r');
      try {
        readSync(fd, bytes, { position: 256 * MIB });
        assert.equal(bytes.toString(), 'in the middle');
        readSync(fd, bytes, { position: size - 1, length: 4 });
        assert.equal(bytes.toString('latin1', 0, 4), '\0end');
      } finally {
        closeSync(fd);
      }
    });
  });

  see('hard links of one layer hold, in it and for who leaves them alone', async (stage) => {
    const { commit, unpack, view } = stage;
    await unpack('1', tree({ 'a/one': file('x'), 'b/two': hardlink('a/one') }));
    await commit('2', ['1'], (root) => {
      writeFileSync(join(root, 'c'), 'y');
      linkSync(join(root, 'c'), join(root, 'b', 'd'));
    });
    await view(['2', '1'], (root) => {
      assertLinked(root, 'a/one', 'b/two');
      assertLinked(root, 'c', 'b/d');
    });
  });

  see(
    'a link to a file of a parent is one file with it; writing to one of the links of a parent tells the others only where trees are whole',
    async ({ driver, commit, unpack, view }) => {
      await unpack('1', tree({ single: file('x'), one: file('x'), two: hardlink('one') }));
      await commit('2', ['1'], (root) => {
        linkSync(join(root, 'single'), join(root, 'again'));
        appendFileSync(join(root, 'again'), 'y');
        appendFileSync(join(root, 'one'), 'y');
      });
      await view(['2', '1'], (root) => {
        assertLinked(root, 'single', 'again');
        const [single, one, two] = ['single', 'one', 'two'].map((name) =>
          readFileSync(join(root, name), 'utf8'),
        );
        assert.deepEqual([single, one], ['xy', 'xy']);
        // A union copies up what is written to under the name that it is written to.
        assert.equal(two, driver.upper === undefined ? 'xy' : 'x');
      });
    },
  );

  see(
    'names of 255 bytes and paths of 60 levels can be made and removed in a child',
    async (stage) => {
      const { commit, view } = stage;
      const deep = Array.from({ length: 60 }, (_, level) => `level-${level}`).join('/');
      await commit('1', [], (root) => {
        mkdirSync(join(root, deep), { recursive: true });
        writeFileSync(join(root, deep, 'n'.repeat(255)), '');
      });
      await commit('2', ['1'], (root) => {
        chmodSync(join(root, deep), 0o700);
        writeFileSync(join(root, deep, 'm'.repeat(255)), '');
      });
      await view(['2', '1'], (root) => {
        assert.deepEqual(readdirSync(join(root, deep)).sort(), ['m'.repeat(255), 'n'.repeat(255)]);
        assert.ok(existsSync(join(root, deep)));
      });
    },
  );
}

/** Sets the times of everything to what they are; of files with several names only if `links`. */
function touchAll(root: string, links: boolean): void {
  const fd = openSync(root, 'r');
  try {
    for (const { dirfd, name, stat, phase } of walk(fd)) {
      const isDirectory = (stat.mode & S_IFMT) === S_IFDIR;
      // A directory last: what is touched in it may be copied into it.
      if (isDirectory ? phase === 'after' : links || stat.nlink === 1)
        utimensat(dirfd, name, stat.mtime, stat.mtimeNs);
    }
  } finally {
    closeSync(fd);
  }
}

function assertLinked(root: string, ...names: readonly [string, string]): void {
  const [one, two] = names.map((name) => lstatSync(join(root, name)));
  assert.equal(one!.ino, two!.ino);
  assert.equal(one!.nlink, 2);
}

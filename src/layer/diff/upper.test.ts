import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmdirSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { S_IFCHR, S_IFSOCK } from '../../erofs/node.ts';
import { isCode } from '../../errors.ts';
import type { Upper } from '../../snapshot/driver.ts';
import { AT_FDCWD, mknodat } from '../../sys/at.ts';
import { setXattr } from '../../sys/xattr.ts';
import { edited, tarOfChanges } from '../../testing/edited-stack.ts';
import { within } from '../../testing/mounted.ts';
import { needs } from '../../testing/need.ts';
import { dir, file, hardlink, MTIME, sparse, tarOf, tree } from '../../testing/tree.ts';
import { unpackStack } from '../../testing/unpack-stack.ts';
import type { Changes } from './change.ts';
import { upperChanges } from './diff.ts';

const skip = needs('root');

const BASE = tree({
  'd/kept': file('kept'),
  'd/gone': file('gone'),
  'e/one': file('1'),
  'e/two': file('2'),
  'f/g/h': file('deep'),
  top: file('top'),
});

const whiteout = (path: string): void => mknodat(AT_FDCWD, path, S_IFCHR, 0);
function mark(path: string, name: string, value = 'y'): void {
  const fd = openSync(path, 'r');
  setXattr(fd, name, Buffer.from(value));
  closeSync(fd);
}

const lines = ({ list }: Changes): string[] =>
  list
    .filter((change) => change.path !== '')
    .map((change) => {
      const opaque = change.kind !== 'deleted' && change.opaque ? ' opaque' : '';
      return `${change.kind} ${change.path}${opaque}`;
    });

/** The changes of an upper directory that `fill` makes, on the base layer or on nobody knows what. */
async function changesOf(
  whiteouts: Upper['whiteouts'],
  fill: (upper: string) => void,
  below: 'base' | 'unknown' = 'base',
): Promise<string[]> {
  await using work = await mkdtempDisposable(join(tmpdir(), 'upper-'));
  const path = join(work.path, 'upper');
  mkdirSync(path);
  const layers = await unpackStack([tarOf(BASE)], 'tar', work.path);
  fill(path);
  const parents = below === 'base' ? layers.map(({ directory }) => directory) : undefined;
  return lines(await upperChanges({ path, whiteouts }, { parents }));
}

test('character devices 0:0 delete, and only what is there', { skip }, async () => {
  const fill = (upper: string): void => {
    mkdirSync(join(upper, 'd'));
    for (const name of ['d/gone', 'd/never', 'top', 'nothing']) whiteout(join(upper, name));
  };
  assert.deepEqual(await changesOf('overlay', fill), [
    'deleted top',
    'modified d',
    'deleted d/gone',
  ]);
  assert.deepEqual(await changesOf('overlay', fill, 'unknown'), [
    'deleted nothing',
    'deleted top',
    'added d',
    'deleted d/gone',
    'deleted d/never',
  ]);
});

test(
  'files with the xattr whiteout delete where their directory says that it has such',
  { skip: needs('root') },
  async () => {
    const fill = (upper: string): void => {
      for (const directory of ['d', 'e']) mkdirSync(join(upper, directory));
      mark(join(upper, 'd'), 'trusted.overlay.opaque', 'x');
      for (const name of ['d/gone', 'e/one']) {
        writeFileSync(join(upper, name), '');
        mark(join(upper, name), 'trusted.overlay.whiteout');
      }
    };
    assert.deepEqual(await changesOf('overlay', fill), [
      'modified d',
      'deleted d/gone',
      'modified e',
      'modified e/one',
    ]);
  },
);

test(
  'an opaque directory shows what it holds itself; one mark says so where nothing else is left',
  { skip: needs('root') },
  async () => {
    const fill = (upper: string): void => {
      for (const directory of ['d', 'f', 'f/g']) mkdirSync(join(upper, directory));
      mark(join(upper, 'd'), 'trusted.overlay.opaque');
      mark(join(upper, 'f'), 'trusted.overlay.opaque');
      writeFileSync(join(upper, 'd/new'), '');
    };
    assert.deepEqual(await changesOf('overlay', fill), [
      'modified d opaque',
      'deleted d/gone',
      'deleted d/kept',
      'added d/new',
      'modified f',
      'modified f/g opaque',
      'deleted f/g/h',
    ]);
    assert.deepEqual(await changesOf('overlay', fill, 'unknown'), [
      'added d opaque',
      'added d/new',
      'added f opaque',
      'added f/g',
    ]);
  },
);

test(
  'the marks of one kind of overlay are a container’s own attributes in another',
  { skip: needs('root') },
  async () => {
    const fill = (upper: string): void => {
      mkdirSync(join(upper, 'e'));
      mark(join(upper, 'e'), 'user.overlay.opaque');
      mark(join(upper, 'e'), 'user.overlay.redirect', '/elsewhere');
    };
    assert.deepEqual(await changesOf('overlay', fill), ['modified e']);
    await assert.rejects(changesOf('userxattr', fill), { code: 'FAILED_PRECONDITION' });
  },
);

test('AUFS’ marks are understood, and its bookkeeping is left out', { skip }, async () => {
  const fill = (upper: string): void => {
    for (const directory of ['d', 'e', '.wh..wh.plnk', '.wh..wh.orph'])
      mkdirSync(join(upper, directory));
    const names = ['.wh.top', 'd/.wh.gone', 'e/.wh..wh..opq', 'e/new', '.wh..wh.aufs'];
    for (const name of names) writeFileSync(join(upper, name), '');
  };
  assert.deepEqual(await changesOf('aufs', fill), [
    'deleted top',
    'modified d',
    'deleted d/gone',
    'modified e opaque',
    'deleted e/one',
    'deleted e/two',
    'added e/new',
  ]);
});

test(
  'names that a layer would read as marks are refused, as are whiteouts in a tree',
  { skip },
  async () => {
    for (const name of ['.wh.x', '.wh..wh..opq', '.wh.'])
      await assert.rejects(
        changesOf('overlay', (upper) => writeFileSync(join(upper, name), '')),
        { code: 'INVALID_ARGUMENT' },
      );
    await using work = await mkdtempDisposable(join(tmpdir(), 'upper-'));
    const edit = (root: string): void => whiteout(join(root, 'device'));
    await assert.rejects(edited([tarOf(BASE)], 'vfs', join(work.path, 'w'), edit), {
      code: 'INVALID_ARGUMENT',
    });
  },
);

test(
  'contents are compared with what kept tars hold, those of lower layers included',
  { skip },
  async () => {
    await using work = await mkdtempDisposable(join(tmpdir(), 'upper-'));
    const upper = join(work.path, 'upper');
    mkdirSync(upper);
    const runs = { 0: 'begin', 100_000: 'middle', 700_000: 'end' };
    const layers = await unpackStack(
      [
        tarOf(
          tree({
            holes: sparse(1_000_000, runs),
            changed: sparse(1_000_000, runs),
            lower: file('lower'),
          }),
        ),
        tarOf(tree({ again: hardlink('lower') })),
      ],
      'tar',
      work.path,
    );
    assert.ok(layers[1]!.result.dependent);
    const content = Buffer.alloc(1_000_000);
    for (const [at, text] of Object.entries(runs)) content.write(text, Number(at));
    writeFileSync(join(upper, 'holes'), content);
    writeFileSync(join(upper, 'changed'), content.fill('x', 999_999));
    writeFileSync(join(upper, 'again'), 'lower');
    for (const name of ['holes', 'changed', 'again']) utimesSync(join(upper, name), MTIME, MTIME);
    const parents = layers.map(({ directory }) => directory).reverse();
    const changes = await upperChanges({ path: upper, whiteouts: 'overlay' }, { parents });
    assert.deepEqual(lines(changes), ['modified changed']);
  },
);

for (const kind of ['overlay2', 'vfs'] as const)
  test(
    `the root is a change when its own attributes are, by ${kind}`,
    { skip: needs('overlay') },
    async () => {
      await using work = await mkdtempDisposable(join(tmpdir(), 'upper-'));
      const base = [tree({ '': dir({ mode: 0o711 }), 'd/f': file('') }), tree({ 'd/g': file('') })];
      const rootOf = async (name: string, edit: (root: string) => void): Promise<string[]> => {
        const { changes } = await edited(base.map(tarOf), kind, join(work.path, name), edit);
        return changes.list.filter(({ path }) => path === '').map(({ kind: what }) => what);
      };
      const deep = (root: string): void => writeFileSync(join(root, 'd/f'), 'x');
      assert.deepEqual(await rootOf('deep', deep), []);
      assert.deepEqual(await rootOf('none', () => {}), []);
      assert.deepEqual(await rootOf('mode', (root) => chmodSync(root, 0o755)), ['modified']);
    },
  );

for (const kind of ['overlay2', 'vfs'] as const)
  test(
    `sockets are left out, and still hide what is below, by ${kind}`,
    { skip: needs('overlay') },
    async () => {
      await using work = await mkdtempDisposable(join(tmpdir(), 'upper-'));
      const { changes } = await edited([tarOf(BASE)], kind, join(work.path, 'w'), (root) => {
        rmSync(join(root, 'top'));
        for (const name of ['top', 'd/socket'])
          mknodat(AT_FDCWD, join(root, name), S_IFSOCK | 0o600);
      });
      assert.deepEqual(lines(changes), ['deleted top', 'modified d']);
    },
  );

for (const [option, change] of [
  ['redirect_dir=on', (root: string) => renameSync(join(root, 'd'), join(root, 'moved'))],
  ['metacopy=on', (root: string) => chmodSync(join(root, 'top'), 0o600)],
] as const)
  test(
    `an upper directory written with ${option} is refused`,
    { skip: needs('overlay') },
    async () => {
      await using work = await mkdtempDisposable(join(tmpdir(), 'upper-'));
      const [layer] = await unpackStack([tarOf(BASE)], 'overlay', work.path);
      const { path, scratch, target } = directories(work.path);
      const dirs = [`lowerdir=${layer!.directory}/fs`, `upperdir=${path}`, `workdir=${scratch}`];
      const options = [option, ...dirs];
      await within([{ type: 'overlay', source: 'overlay', options }], target, change);
      const upper = { path, whiteouts: 'overlay' } as const;
      await assert.rejects(upperChanges(upper, { parents: [layer!.directory] }), (error: Error) => {
        assert.match(error.message, new RegExp(option.split('=')[0]!));
        return isCode(error, 'FAILED_PRECONDITION');
      });
    },
  );

test(
  'what was changed through fuse-overlayfs gives the archive that the kernel’s overlay gives',
  { skip: needs('overlay', 'fuse-overlayfs') },
  async () => {
    await using work = await mkdtempDisposable(join(tmpdir(), 'upper-'));
    const edit = (root: string): void => {
      rmSync(join(root, 'e'), { recursive: true });
      mkdirSync(join(root, 'e'));
      writeFileSync(join(root, 'e/one'), 'new');
      rmSync(join(root, 'd/gone'));
      rmSync(join(root, 'f/g/h'));
      rmdirSync(join(root, 'f/g'));
      writeFileSync(join(root, 'top'), 'changed');
    };
    const kernel = await edited([tarOf(BASE)], 'overlay2', join(work.path, 'w'), edit);
    const { path, scratch, target } = directories(work.path);
    const lower = join(kernel.parents[0]!, 'fs');
    const options = `lowerdir=${lower},upperdir=${path},workdir=${scratch}`;
    execFileSync('fuse-overlayfs', ['-o', options, target], { stdio: 'ignore' });
    try {
      edit(target);
    } finally {
      execFileSync('umount', [target]);
    }
    assert.ok(readdirSync(join(path, 'e')).includes('.wh..wh..opq'));
    const upper = { path, whiteouts: 'fuse-overlayfs' } as const;
    const changes = await upperChanges(upper, { parents: kernel.parents });
    // The directory itself is this test's.
    const archives = [changes, kernel.changes].map(({ root, list }) =>
      tarOfChanges({ root, list: list.slice(1) }, { sourceDateEpoch: 1_700_000_000 }),
    );
    assert.ok((await archives[0]!).equals(await archives[1]!));
  },
);

function directories(work: string): { path: string; scratch: string; target: string } {
  const all = {
    path: join(work, 'upper'),
    scratch: join(work, 'scratch'),
    target: join(work, 'target'),
  };
  for (const path of Object.values(all)) mkdirSync(path);
  return all;
}

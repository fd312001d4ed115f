import assert from 'node:assert/strict';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { needs } from '../../testing/need.ts';
import { runInUserNamespace } from '../../testing/user-namespace.ts';

test(
  'in a user namespace, overlay2 (with userxattr), fuse-overlayfs, vfs and the snapshotter do all that they must',
  { skip: needs('userns', 'overlay', 'fuse-overlayfs') },
  async () => {
    const suites = [
      'suites/overlay2.test.ts',
      'suites/fuse-overlayfs.test.ts',
      'suites/vfs.test.ts',
      'fuse-overlayfs.test.ts',
      'overlay2.test.ts',
      'index.test.ts',
      '../local.test.ts',
    ];
    const files = suites.map((name) => join(import.meta.dirname, name));
    const { code, output } = await runInUserNamespace([process.execPath, '--test', ...files]);
    assert.equal(code, 0, output);
    // EROFS and AUFS are not for user namespaces.
    assert.deepEqual(output.match(/# needs (?!(?:erofs|aufs)$).*/gm), null);
    assert.match(output, /pass [1-9]/);
  },
);

/** Chooses a driver for a store whose layers are on an overlay, and says which and why. */
const CHOICE = `
  const { mkdirSync } = await import('node:fs');
  const [{ openDatabase }, { betterDrivers, chooseDriver }, { performMounts }] = await Promise.all(
    ['../../db/open.ts', './index.ts', '../../sys/mount.ts'].map((path) => import(new URL(path, HERE))));
  using db = await openDatabase(ROOT);
  for (const name of ['l', 'u', 'w', 'layers']) mkdirSync(ROOT + '/' + name);
  const dirs = ['lowerdir=' + ROOT + '/l', 'upperdir=' + ROOT + '/u', 'workdir=' + ROOT + '/w'];
  const overlay = { type: 'overlay', source: 'overlay', options: ['userxattr', ...dirs] };
  await using _ = await performMounts([overlay], ROOT + '/layers');
  const { driver } = await chooseDriver(db);
  const passed = await betterDrivers(db, driver.name);
  console.log(JSON.stringify([driver.name, driver.form, ...passed.map((one) => one.driver)]));`;

test(
  'in a user namespace whose kernel mounts no overlay there, fuse-overlayfs is taken by itself',
  { skip: needs('userns', 'overlay', 'fuse-overlayfs') },
  async () => {
    await using dir = await mkdtempDisposable(join(tmpdir(), 'mica-userns-'));
    const root = join(dir.path, 'store');
    const names = `const [HERE, ROOT] = ${JSON.stringify([import.meta.url, root])};`;
    const argv = [process.execPath, '--input-type=module', '--eval', names + CHOICE];
    const { code, output } = await runInUserNamespace(argv);
    assert.equal(code, 0, output);
    const said = output.split('\n').find((line) => line.startsWith('['))!;
    assert.deepEqual(JSON.parse(said), ['fuse-overlayfs', 'aufs', 'erofs', 'overlay2']);
  },
);

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import type { Need } from '../../src/testing/need.ts';
import { needs } from '../../src/testing/need.ts';
import type { ImageFixture } from '../../src/testing/image-fixture.ts';
import { dir, file, link, tree, whiteout } from '../../src/testing/tree.ts';
import { type Kit, openKit } from '../cli/kit.ts';

/** What Mica writes, others read; what others write, Mica reads; and the image stays the same. */
const run = promisify(execFile);

interface Pulled extends Kit {
  readonly app: ImageFixture;
}

const LAYERS = [
  tree({ 'etc/name': file('one'), 'bin/x': file('x', { mode: 0o755 }), 'var/gone': file('1') }),
  tree({ 'etc/name': file('two'), 'bin/y': link('x'), 'var/gone': whiteout(), tmp: dir() }),
];

async function openPulled(): Promise<Pulled> {
  await using stack = new AsyncDisposableStack();
  const kit = stack.use(await openKit());
  const app = await kit.origin.image('team/app', LAYERS);
  await kit.ok('pull -q REG/team/app');
  await kit.ok('tag REG/team/app example.test/team/app:1');
  const all = stack.move();
  return { ...kit, app, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

const NAME = 'example.test/team/app:1';

const podmanIn = (directory: string): ((...args: string[]) => Promise<string>) => {
  const [root, runroot] = [join(directory, 'podman'), join(directory, 'podman-run')];
  const store = ['--root', root, '--runroot', runroot, '--storage-driver', 'vfs'];
  return async (...args) =>
    (await run('podman', [...store, '--events-backend', 'none', ...args])).stdout;
};

/** The digest of what skopeo finds there. */
const skopeoDigest = async (place: string): Promise<string> =>
  JSON.parse((await run('skopeo', ['inspect', place])).stdout).Digest;

for (const [format, place] of [
  ['docker-archive', (path: string) => `oci-archive:${path}:1`],
  ['oci-archive', (path: string) => `oci-archive:${path}:${NAME}`],
  ['oci-dir', (path: string) => `oci:${path}:${NAME}`],
] as const)
  test(
    `skopeo finds the image in an ${format} that Mica saved`,
    { skip: needs('skopeo') },
    async () => {
      await using kit = await openPulled();
      const path = join(kit.directory, 'saved');
      await kit.ok(`save -q --format ${format} -o ${path} ${NAME}`);
      assert.equal(await skopeoDigest(place(path)), kit.app.descriptor.digest);
    },
  );

test(
  "skopeo reads Docker's lists of an archive that Mica saved",
  { skip: needs('skopeo') },
  async () => {
    await using kit = await openPulled();
    const [saved, layout] = ['saved', 'layout'].map((name) => join(kit.directory, name));
    await kit.ok(`save -q -o ${saved!} ${NAME}`);
    await run('skopeo', ['copy', '-q', `docker-archive:${saved!}:${NAME}`, `oci:${layout!}:x`]);
    const { stdout } = await run('skopeo', ['inspect', '--config', '--raw', `oci:${layout!}:x`]);
    const { rootfs } = JSON.parse(stdout);
    assert.deepEqual(rootfs.diff_ids, kit.app.diffIds);
  },
);

for (const format of ['docker-archive', 'oci-archive'] as const)
  test(
    `podman loads an ${format} that Mica saved, by its name`,
    { skip: needs('podman') },
    async () => {
      await using kit = await openPulled();
      const saved = join(kit.directory, 'saved');
      // Of an OCI archive with several images podman wants to be told which.
      const names = format === 'docker-archive' ? `${NAME} REG/team/app` : NAME;
      await kit.ok(`save -q --format ${format} -o ${saved} ${names}`);
      const podman = podmanIn(kit.directory);
      await podman('load', '-q', '-i', saved);
      const [image] = JSON.parse(await podman('image', 'inspect', NAME));
      assert.equal(`sha256:${image.Id}`, kit.app.config.digest);
      assert.deepEqual(image.RootFS.Layers, kit.app.diffIds);
    },
  );

test('umoci unpacks a layout that Mica saved', { skip: needs('umoci', 'root') }, async () => {
  await using kit = await openPulled();
  const [layout, bundle] = ['layout', 'bundle'].map((name) => join(kit.directory, name));
  await kit.ok(`copy -q ${NAME} oci:${layout!}:1`);
  await run('umoci', ['unpack', '--image', `${layout!}:1`, bundle!]);
  assert.equal(await readFile(join(bundle!, 'rootfs/etc/name'), 'utf8'), 'two');
  await assert.rejects(readFile(join(bundle!, 'rootfs/var/gone')), { code: 'ENOENT' });
});

test(
  'oci-image-tool finds nothing wrong with a layout that Mica copied',
  { skip: needs('oci-image-tool') },
  async () => {
    await using kit = await openPulled();
    const layout = join(kit.directory, 'layout');
    await kit.ok(`copy -q ${NAME} oci:${layout}:1`);
    const args = ['validate', '--type', 'image', '--ref', 'name=1', layout];
    const { stdout } = await run('oci-image-tool', args);
    assert.match(stdout, /Validation succeeded/);
  },
);

type Maker = (kit: Pulled, layout: string, to: string) => Promise<unknown>;

const byPodman =
  (format: string): Maker =>
  async (kit, _, to) => {
    const podman = podmanIn(kit.directory);
    await kit.ok(`save -q -o ${to} ${NAME}`);
    await podman('load', '-q', '-i', to);
    await rm(to);
    await podman('save', '-q', '--format', format, '-o', to, NAME);
  };

const THEIRS: readonly (readonly [
  who: string,
  needed: Need,
  make: Maker,
  name: string | undefined,
])[] = [
  [
    "skopeo's docker-archive",
    'skopeo',
    (_, layout, to) =>
      run('skopeo', ['copy', '-q', `oci:${layout}:1`, `docker-archive:${to}:${NAME}`]),
    NAME,
  ],
  [
    "skopeo's oci-archive",
    'skopeo',
    (_, layout, to) => run('skopeo', ['copy', '-q', `oci:${layout}:1`, `oci-archive:${to}:v1`]),
    undefined,
  ],
  ["podman's docker-archive", 'podman', byPodman('docker-archive'), NAME],
  ["podman's oci-archive", 'podman', byPodman('oci-archive'), NAME],
];

for (const [who, needed, make, name] of THEIRS)
  test(`${who} is loaded with the same tree`, { skip: needs(needed) }, async () => {
    await using kit = await openPulled();
    const [layout, archive] = ['layout', 'archive.tar'].map((one) => join(kit.directory, one));
    await kit.ok(`copy -q ${NAME} oci:${layout!}:1`);
    await make(kit, layout!, archive!);
    const there = ['--root', join(kit.directory, 'there')];
    const [loaded] = JSON.parse(
      await kit.ok([...there, 'load', '--json', '--progress', 'quiet', '-i', archive!]),
    );
    assert.deepEqual(loaded.references, name === undefined ? [] : [name]);
    const [image] = JSON.parse(await kit.ok([...there, 'inspect', loaded.id]));
    assert.deepEqual(image.RootFS.Layers, kit.app.diffIds);
    const listed = (root: readonly string[], id: string): Promise<string> =>
      kit.ok([...root, 'ls', '-lR', id, '/']);
    assert.equal(await listed(there, loaded.id), await listed([], kit.app.config.digest));
  });

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmod, mkdir, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { sha256 } from '../../src/oci/digest.ts';
import { needs } from '../../src/testing/need.ts';
import { dir, file, link, tarOf, tree, whiteout } from '../../src/testing/tree.ts';
import { openKit, type Kit } from './kit.ts';

const run = promisify(execFile);

const LAYERS = [
  tree({ 'usr/lib/a': file('1'), lib: link('usr/lib') }),
  tree({ etc: dir({ mode: 0o700, uid: 7 }), 'etc/b': file('2') }),
];

interface Shown {
  readonly Id: string;
  readonly Config: Readonly<Record<string, unknown>>;
  readonly RootFS: { readonly Layers: readonly string[] };
  readonly Created: string;
  readonly Architecture: string;
}

interface Derived {
  readonly id: string;
  readonly manifest: { readonly mediaType: string };
  readonly layers: readonly {
    readonly digest: string;
    readonly diffId: string;
    readonly mediaType: string;
  }[];
}

async function inspect(kit: Kit, name: string): Promise<Shown> {
  return (JSON.parse(await kit.ok(['image', 'inspect', name])) as Shown[])[0]!;
}

const derived = async (kit: Kit, line: string): Promise<Derived> =>
  JSON.parse(await kit.ok(`${line} --json`)) as Derived;

async function openApp(config: Readonly<Record<string, unknown>> = {}): Promise<Kit> {
  const kit = await openKit();
  await kit.origin.image('app', LAYERS, { config });
  await kit.ok('pull REG/app');
  return kit;
}

test('mutate sets and takes away, and leaves layers and the original alone', async () => {
  await using kit = await openApp({
    Env: ['A=1', 'B=2'],
    Cmd: ['old'],
    User: 'u',
    Labels: { x: 'y' },
  });
  const before = await inspect(kit, 'REG/app');
  const words =
    'mutate REG/app -t new -e B=3 -e C=4 -l q=a=b --unset env:A --unset label:x --unset user ' +
    '--expose 53/udp --entrypoint ["/bin/app","-v"] --created 0 --platform linux/s390x';
  await kit.ok(words);
  const { Config, RootFS, Created, Architecture } = await inspect(kit, 'new');
  assert.deepEqual(Config['Env'], ['B=3', 'C=4']);
  assert.deepEqual(Config['Entrypoint'], ['/bin/app', '-v']);
  assert.deepEqual(Config['Cmd'] ?? null, null);
  assert.equal(Config['User'] ?? '', '');
  assert.deepEqual(Config['Labels'], { q: 'a=b' });
  assert.deepEqual(Config['ExposedPorts'], { '53/udp': {} });
  assert.deepEqual([Created, Architecture], ['1970-01-01T00:00:00Z', 's390x']);
  assert.deepEqual(RootFS, before.RootFS);
  assert.deepEqual(await inspect(kit, 'REG/app'), before);
});

test('an annotation changes the manifest, not the image', async () => {
  await using kit = await openApp();
  const { id } = await derived(kit, 'mutate REG/app -t noted --annotation a=b');
  assert.equal(id, (await inspect(kit, 'REG/app')).Id);
});

test('mutate without a change, or with a wrong one, is refused', async () => {
  await using kit = await openApp();
  for (const words of [
    [],
    ['--unset', 'nothing'],
    ['-e', 'A'],
    ['--cmd', '["a",1]'],
    ['--expose', 'x'],
    ['--stop-signal', 'nope'],
  ])
    assert.equal((await kit.mica(['mutate', 'REG/app', '-t', 'x', ...words])).code, 2);
  const { stderr } = await kit.mica(['mutate', 'REG/app', '--created', 'never']);
  assert.match(stderr, /--created=never: neither/);
  assert.equal((await kit.mica(['image', 'inspect', 'x'])).code, 3);
});

test('convert gives other blobs of the same layers, there and back', async () => {
  await using kit = await openApp();
  const { layers } = await derived(kit, 'convert REG/app --compression gzip -t same');
  const zstd = await derived(kit, 'convert REG/app --compression zstd:12 -t zstd');
  const plain = await derived(kit, 'convert zstd --compression none --format docker -t plain');
  const types = ({ layers: all }: Derived): string[] => all.map(({ mediaType }) => mediaType);
  const diffIds = ({ layers: all }: Pick<Derived, 'layers'>): string[] =>
    all.map(({ diffId }) => diffId);
  assert.match(types(zstd).join(), /^(?:[^,]*\+zstd,?){2}$/);
  assert.match(plain.manifest.mediaType, /docker/);
  assert.deepEqual([diffIds(zstd), diffIds(plain)], [diffIds({ layers }), diffIds({ layers })]);
  for (const { digest, diffId } of plain.layers) assert.equal(digest, diffId);
  const { code, stderr } = await kit.mica('convert zstd --format docker -t x'.split(' '));
  assert.equal(code, 6);
  assert.match(stderr, /zstd/);
  await kit.ok('check');
});

test('append keeps a compressed archive as it is, and applies what it deletes', async () => {
  await using kit = await openApp();
  const tar = tarOf(tree({ 'etc/b': whiteout(), c: file('3') }));
  const archive = join(kit.directory, 'layer.tgz');
  const bytes = gzipSync(tar);
  await writeFile(archive, bytes);
  const { layers } = await derived(kit, `append REG/app ${archive} -t more`);
  assert.deepEqual([layers[2]!.digest, layers[2]!.diffId], [sha256(bytes), sha256(tar)]);
  assert.equal(await kit.ok('ls more'), 'c\netc\nlib\nusr\n');
  assert.equal(await kit.ok('ls more /etc'), '');
  assert.equal(await kit.ok('ls REG/app /etc'), 'b\n');
});

test('append takes an archive in xz as it takes a plain one', { skip: needs('xz') }, async () => {
  await using kit = await openApp();
  const tar = tarOf(tree({ c: file('3') }));
  const archive = join(kit.directory, 'layer.tar');
  await writeFile(archive, tar);
  await run('xz', [archive]);
  const { layers } = await derived(kit, `append REG/app ${archive}.xz -t more`);
  assert.equal(layers[2]!.diffId, sha256(tar));
  assert.match(layers[2]!.mediaType, /gzip$/);
});

test('append refuses what is no archive, and nothing of it is seen', async () => {
  await using kit = await openApp();
  const archive = join(kit.directory, 'text');
  await writeFile(archive, 'no archive at all'.repeat(100));
  const { code, stderr } = await kit.mica(['append', 'REG/app', archive, '-t', 'x']);
  assert.ok(code > 0);
  assert.match(stderr, /append to .*app/);
  assert.equal((await kit.mica(['image', 'inspect', 'x'])).code, 3);
  assert.equal((await kit.mica(['append', 'REG/app', '/no/such', '-t', 'x'])).code, 3);
});

test(
  'a directory gives the same layer on any day, to nobody in particular',
  { skip: needs('linux') },
  async () => {
    await using kit = await openApp();
    const make = async (name: string, time: number): Promise<string> => {
      const path = join(kit.directory, name);
      await mkdir(join(path, 'etc'), { recursive: true });
      await mkdir(join(path, 'opt'));
      await writeFile(join(path, 'etc/new'), 'n');
      await writeFile(join(path, 'opt/tool'), 't');
      await chmod(join(path, 'opt/tool'), 0o755);
      await symlink('tool', join(path, 'opt/link'));
      for (const inside of ['etc/new', 'opt/tool', 'etc', 'opt'])
        await utimes(join(path, inside), time, time);
      return path;
    };
    const [one, two] = [await make('one', 2e9), await make('two', 2.1e9)];
    const epoch = process.env['SOURCE_DATE_EPOCH'];
    process.env['SOURCE_DATE_EPOCH'] = '1000000000';
    try {
      // A link has the time of its making, which the epoch cuts, too.
      const first = await derived(kit, `append REG/app ${one} -t one`);
      const second = await derived(kit, `append REG/app ${two} -t two`);
      assert.equal(first.id, second.id);
    } finally {
      if (epoch === undefined) delete process.env['SOURCE_DATE_EPOCH'];
      else process.env['SOURCE_DATE_EPOCH'] = epoch;
    }
    const listed = await kit.ok('ls -l -R one');
    assert.match(listed, /drwx------ 1 7 0 .* etc/);
    assert.match(listed, /-rwxr-xr-x 1 0 0 .* tool/);
  },
);

test('a directory does not take the place of a link to one', { skip: needs('linux') }, async () => {
  await using kit = await openApp();
  const path = join(kit.directory, 'files');
  await mkdir(join(path, 'lib'), { recursive: true });
  await writeFile(join(path, 'lib/b'), '');
  const { code, stderr } = await kit.mica(['append', 'REG/app', path, '-t', 'x']);
  assert.equal(code, 6);
  assert.match(stderr, /usr\/lib/);
});

test(
  'umoci and skopeo take what was squashed, appended to, mutated and converted',
  { skip: needs('linux', 'skopeo', 'umoci') },
  async () => {
    await using kit = await openApp({ Env: ['A=1'] });
    const archive = join(kit.directory, 'layer.tar');
    await writeFile(archive, tarOf(tree({ 'etc/b': whiteout(), c: file('3') })));
    await kit.ok(`append REG/app ${archive} -t appended`);
    await kit.ok('squash appended --from 2 -t squashed');
    await kit.ok('mutate squashed -e B=2 -t mutated');
    await kit.ok('convert mutated --compression gzip:9 -t converted');
    for (const name of ['appended', 'squashed', 'mutated', 'converted']) {
      const layout = join(kit.directory, `layout-${name}`);
      const source = `oci:${join(kit.root, 'content')}:docker.io/library/${name}:latest`;
      await run('skopeo', ['copy', '--quiet', '--insecure-policy', source, `oci:${layout}:it`]);
      const bundle = join(kit.directory, `bundle-${name}`);
      await run('umoci', ['unpack', '--rootless', '--image', `${layout}:it`, bundle]);
      const { stdout } = await run('find', ['.', '-type', 'f'], { cwd: join(bundle, 'rootfs') });
      assert.deepEqual(stdout.trim().split('\n').sort(), ['./c', './usr/lib/a']);
    }
  },
);

test('diff of two images tells files, defaults and, by its exit code, whether there are any', async () => {
  await using kit = await openApp({ Env: ['A=1'] });
  const archive = join(kit.directory, 'layer.tar');
  await writeFile(archive, tarOf(tree({ 'etc/b': whiteout(), c: file('3') })));
  await kit.ok(`append REG/app ${archive} -t one --message m`);
  await kit.ok('mutate one -e A=2 --created 0 -t two');
  await kit.ok('mutate REG/app --created 0 -t zero');
  assert.equal(
    await kit.ok('diff zero two'),
    'A /c\nC /etc (mode, owner)\nD /etc/b\nC config: Env A: 1 → 2\n',
  );
  const { code, stdout } = await kit.mica('diff zero two --exit-code --json'.split(' '));
  assert.equal(code, 1);
  assert.deepEqual((JSON.parse(stdout) as { files: { path: string }[] }).files.length, 3);
  assert.equal(await kit.ok('diff two two --exit-code'), '');
});

test('diff takes the first layers of an image for an image, on either side', async () => {
  await using kit = await openApp({});
  const archive = join(kit.directory, 'layer.tar');
  await writeFile(archive, tarOf(tree({ c: file('3') })));
  await kit.ok(`append REG/app ${archive} -t more`);
  const all = (await inspect(kit, 'more')).RootFS.Layers.length;
  assert.equal(await kit.ok(`diff more@${all - 1} more`), 'A /c\n');
  assert.equal(await kit.ok(`diff more more@${all - 1}`), 'D /c\n');
  assert.equal(await kit.ok(`diff more@${all - 1} more@${all - 1} --exit-code`), '');
  assert.equal((await kit.mica(['diff', 'more@9', 'more'])).code, 2);
});

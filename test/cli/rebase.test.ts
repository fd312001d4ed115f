import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { needs } from '../../src/testing/need.ts';
import { file, type Item, link, type Tree, tree } from '../../src/testing/tree.ts';
import { openKit, type Kit } from './kit.ts';

const run = promisify(execFile);
const PASSWD = 'root:x:0:0::/:\nweb:x:33:33::/:\n';

const base = (version: string, more: Readonly<Record<string, Item>> = {}): Tree =>
  tree({
    'etc/passwd': file(PASSWD),
    'etc/version': file(version),
    'usr/lib/libc.so': file(`libc ${version}`),
    lib: link('usr/lib'),
    ...more,
  });
const OLD = base('1', { 'etc/only-old': file() });
const NEW = base('2', { 'etc/only-new': file() });
const PYTHON = tree({ 'usr/bin/python3': file('3.11.1') });
const PATCH = tree({ 'usr/bin/python3': file('3.11.2') });

interface Options {
  readonly own?: readonly Tree[];
  readonly newBase?: Tree;
  readonly configs?: readonly [
    old: Readonly<Record<string, unknown>>,
    own: Readonly<Record<string, unknown>>,
    now: Readonly<Record<string, unknown>>,
  ];
}

/** A base in two versions, and an image on the first one. */
async function openBases({
  own = [PYTHON, PATCH],
  newBase = NEW,
  configs: [old, image, now] = [{}, {}, {}],
}: Options = {}): Promise<Kit> {
  const kit = await openKit();
  await kit.origin.image('base1', [OLD], { config: old });
  await kit.origin.image('base2', [newBase], { config: now });
  await kit.origin.image('app', [OLD, ...own], { config: image });
  for (const name of ['base1', 'base2', 'app']) await kit.ok(`pull REG/${name}`);
  return kit;
}

const REBASE = 'rebase REG/app --old-base REG/base1 --new-base REG/base2 -t new';

interface Rebased {
  readonly layers: readonly { readonly digest: string }[];
  readonly findings: readonly {
    readonly unsafe: boolean;
    readonly kind: string;
    readonly subject: string;
  }[];
}

const rebased = async (kit: Kit, more = ''): Promise<Rebased> =>
  JSON.parse(await kit.ok(`${REBASE} --json${more}`)) as Rebased;

const found = ({ findings }: Rebased): string[] =>
  findings.map(({ unsafe, kind, subject }) => `${unsafe ? '!' : ''}${kind} ${subject}`);

test("an image's own layers are put on a patched base, untouched", async () => {
  await using kit = await openBases();
  const result = await rebased(kit);
  assert.deepEqual(found(result), ['lost /etc/only-old']);
  assert.equal(await kit.ok('cat new:/usr/lib/libc.so'), 'libc 2');
  assert.equal(await kit.ok('cat new:/usr/bin/python3'), '3.11.2');
  assert.equal(await kit.ok('cat REG/app:/usr/lib/libc.so'), 'libc 1');
  const digests = async (name: string): Promise<string[]> =>
    (JSON.parse(await kit.ok(['image', 'inspect', name])) as { RootFS: { Layers: string[] } }[])[0]!
      .RootFS.Layers;
  const [app, second, mine] = [
    await digests('REG/app'),
    await digests('REG/base2'),
    await digests('new'),
  ];
  assert.deepEqual(mine, [...second, ...app.slice(1)]);
  await kit.ok('check');
});

test('an image that has its own version of what the new base changed is refused', async () => {
  await using kit = await openBases({ own: [tree({ 'usr/lib/libc.so': file('patched 1') })] });
  const { code, stderr } = await kit.mica(REBASE.split(' '));
  assert.equal(code, 6);
  assert.match(stderr, /not safe: \/usr\/lib\/libc\.so is another one in the new base/);
  assert.equal((await kit.mica(['image', 'inspect', 'new'])).code, 3);
  assert.ok(found(await rebased(kit, ' --force')).includes('!file /usr/lib/libc.so'));
  assert.equal(await kit.ok('cat new:/usr/lib/libc.so'), 'patched 1');
});

test('a directory that became a link in the new base is refused', async () => {
  const newBase = tree({ 'etc/passwd': file(PASSWD), 'opt/bin': link('/'), usr: link('opt') });
  await using kit = await openBases({ newBase });
  const { code, stderr } = await kit.mica(REBASE.split(' '));
  assert.equal(code, 6);
  assert.match(stderr, /\/usr is another one/);
});

test('defaults that came from the base come from the new one, and conflicts are told', async () => {
  await using kit = await openBases({
    configs: [
      { Env: ['PATH=/a', 'V=1', 'X=1'], Cmd: ['sh'] },
      { Env: ['PATH=/a', 'V=1', 'X=own'], Cmd: ['app'], User: 'web' },
      { Env: ['PATH=/b', 'V=2', 'X=2'], Cmd: ['sh'] },
    ],
  });
  assert.deepEqual(found(await rebased(kit, ' --force')), ['!config Env X', 'lost /etc/only-old']);
  const [{ Config }] = JSON.parse(await kit.ok(['image', 'inspect', 'new'])) as [
    { Config: { Env: string[]; Cmd: string[]; User: string } },
  ];
  assert.deepEqual(Config.Env, ['PATH=/b', 'V=2', 'X=own']);
  assert.deepEqual([Config.Cmd, Config.User], [['app'], 'web']);
});

test('a user that the new base lacks, or a number that means somebody else, is unsafe', async () => {
  await using kit = await openBases({
    own: [tree({ srv: file('', { uid: 33 }) })],
    newBase: base('2', { 'etc/passwd': file('root:x:0:0::/:\nmail:x:33:33::/:\n') }),
    configs: [{}, { User: 'web' }, {}],
  });
  const all = found(await rebased(kit, ' --force')).filter((line) => line.startsWith('!'));
  assert.deepEqual(all, ['!user web', '!user user 33']);
});

test('a layer that goes through a link of its base goes where the new base leads it', async () => {
  await using kit = await openBases({
    own: [tree({ 'lib/own.so': file('mine') }, { parents: 'omit' })],
    newBase: tree({ 'usr/lib64/x': file(), lib: link('usr/lib64'), 'etc/passwd': file(PASSWD) }),
  });
  await rebased(kit, ' --force');
  assert.equal(await kit.ok('cat new:/usr/lib64/own.so'), 'mine');
  await kit.ok('check');
});

test('an image that was not built on the base is refused', async () => {
  await using kit = await openBases();
  const line = 'rebase REG/app --old-base REG/base2 --new-base REG/base1 -t new';
  const { code, stderr } = await kit.mica(line.split(' '));
  assert.equal(code, 6);
  assert.match(stderr, /does not begin with the layers of/);
});

test('annotations name the base, and a rebased image says what its base is now', async () => {
  await using kit = await openBases();
  const { code, stderr } = await kit.mica(['rebase', 'REG/app', '-t', 'new']);
  assert.equal(code, 6);
  assert.match(stderr, /--old-base/);
  await kit.ok(REBASE);
  // Back again: the annotations say on what it is.
  await kit.ok('rebase new --new-base REG/base1 -t back');
  assert.equal(await kit.ok('cat back:/usr/lib/libc.so'), 'libc 1');
});

interface Annotated {
  readonly digest: string;
  readonly annotations: Readonly<Record<string, string>>;
}

/** Of an image of the store, from its layout. */
async function manifestOf({ root }: Kit, name: string): Promise<Annotated> {
  const read = async (path: string): Promise<unknown> =>
    JSON.parse(await readFile(join(root, 'content', path), 'utf8'));
  const { manifests } = (await read('index.json')) as { manifests: Annotated[] };
  const named = ({ annotations }: Annotated): boolean =>
    annotations['org.opencontainers.image.ref.name'] === name;
  const { digest } = manifests.find(named)!;
  return (await read(`blobs/${digest.replace(':', '/')}`)) as Annotated;
}

test('a rebased image follows the name that its new base was given by', async () => {
  await using kit = await openBases();
  // A name of ours: no registry has ever told a digest of it.
  await kit.ok('tag REG/base1 base');
  await kit.ok('rebase REG/app --old-base REG/base1 --new-base base -t first');
  await kit.ok('tag REG/base2 base');
  await kit.ok('rebase first -t second');
  assert.equal(await kit.ok('cat second:/usr/lib/libc.so'), 'libc 2');
  const { annotations } = await manifestOf(kit, 'docker.io/library/second:latest');
  assert.equal(annotations['org.opencontainers.image.base.name'], 'docker.io/library/base:latest');
});

test('umoci unpacks a rebased image', { skip: needs('linux', 'skopeo', 'umoci') }, async () => {
  await using kit = await openBases();
  await kit.ok(REBASE);
  const layout = join(kit.directory, 'layout');
  const source = `oci:${join(kit.root, 'content')}:docker.io/library/new:latest`;
  await run('skopeo', ['copy', '--quiet', '--insecure-policy', source, `oci:${layout}:it`]);
  const bundle = join(kit.directory, 'bundle');
  await run('umoci', ['unpack', '--rootless', '--image', `${layout}:it`, bundle]);
  const { stdout } = await run('cat', ['etc/version', 'usr/bin/python3'], {
    cwd: join(bundle, 'rootfs'),
  });
  assert.equal(stdout, '23.11.2');
});

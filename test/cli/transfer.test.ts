import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { EXIT_CODE } from '../../src/cli/exit-code.ts';
import { sha256 } from '../../src/oci/digest.ts';
import { hostPlatform } from '../../src/oci/platform.ts';
import { dockerArchive } from '../../src/testing/docker-archive.ts';
import { respond } from '../../src/testing/faults.ts';
import type { ImageFixture } from '../../src/testing/image-fixture.ts';
import { serve } from '../../src/testing/serve.ts';
import { file, tarOf, tree } from '../../src/testing/tree.ts';
import { type Kit, openKit } from './kit.ts';

/** A store that has pulled an image of two layers, and may push to where that came from. */
async function openPulled(): Promise<Kit & { readonly app: ImageFixture }> {
  await using stack = new AsyncDisposableStack();
  const kit = stack.use(await openKit());
  process.env['REGISTRY_AUTH_FILE'] = kit.origin.authFile;
  const app = await kit.origin.image('app', [tree({ a: file('one') }), tree({ b: file('two') })]);
  await kit.ok('pull -q REG/app');
  const all = stack.move();
  return { ...kit, app, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

const before = process.env['REGISTRY_AUTH_FILE'];
after(() => {
  if (before === undefined) delete process.env['REGISTRY_AUTH_FILE'];
  else process.env['REGISTRY_AUTH_FILE'] = before;
});

const short = (digest: string): string => digest.slice(7, 19);

test('a push says what docker says, and gives the digest that was pulled', async () => {
  await using kit = await openPulled();
  const { app } = kit;
  const [base, top] = app.layers.map(({ digest }) => short(digest));
  await kit.ok('tag REG/app REG/team/copy:1');
  const last = `1: digest: ${app.descriptor.digest} size: ${app.descriptor.size}\n`;
  const first = await kit.ok('push REG/team/copy:1');
  assert.deepEqual(
    first.split('\n').toSorted(),
    `The push refers to repository [REG/team/copy]\n${base}: Mounted from app\n${top}: Mounted from app\n${last}`
      .split('\n')
      .toSorted(),
  );
  const again = await kit.ok('push REG/team/copy:1');
  assert.equal(again.match(/Layer already exists/g)?.length, 2);
  assert.ok(again.endsWith(last));
  assert.equal(await kit.ok('push -q REG/team/copy:1'), 'REG/team/copy:1\n');
});

test('an image that is loaded where there is no registry is sent whole, and comes back the same', async () => {
  await using kit = await openPulled();
  const archive = join(kit.directory, 'app.tar');
  await kit.ok(`save -q -o ${archive} REG/app`);
  const other = { ...kit, root: join(kit.directory, 'other') };
  const args = (...words: string[]): string[] => ['--root', other.root, ...words];
  await kit.ok(args('load', '-q', '-i', archive));
  await kit.ok(args('tag', 'REG/app', 'REG/new:1'));
  const pushed = JSON.parse(await kit.ok(args('push', '--json', 'REG/new:1')));
  const { descriptor, layers, config } = kit.app;
  const blobs = [descriptor, config, ...layers].reduce((sum, { size }) => sum + size, 0);
  assert.equal(pushed.digest, descriptor.digest);
  assert.equal(pushed.bytesSent, blobs - descriptor.size);
  assert.match(await kit.ok('pull REG/new:1'), new RegExp(`Digest: ${descriptor.digest}`));
});

test('blobs that the store has dropped are pushed and saved as they were', async () => {
  await using kit = await openPulled();
  await kit.ok('tag REG/app REG/new:1');
  assert.match(await kit.ok('blobs refetch'), /freed|dropped/i);
  const [blob] = kit.app.layers;
  const path = join(kit.root, 'content/blobs/sha256', blob!.digest.slice(7));
  await assert.rejects(readFile(path), { code: 'ENOENT' });
  const { bytes } = await kit.mica(['save', 'REG/app']);
  assert.ok(bytes.includes(Buffer.from(kit.origin.fixture.blobs.get(blob!.digest)!)));
  assert.match(await kit.ok('push REG/new:1'), new RegExp(kit.app.descriptor.digest));
});

for (const [verb, stream] of [
  ['save PROXY/app', 'stderr'],
  ['blobs keep', 'stdout'],
] as const)
  test(`${verb} says that it asks a registry again for a blob that the store has dropped`, async () => {
    await using kit = await openPulled();
    let failures = 0;
    await using proxy = await kit.origin.proxy({
      path: /\/blobs\//,
      when: () => failures > 0 && failures-- > 0,
      fault: respond(503, { 'retry-after': '0' }),
    });
    await kit.ok(`rmi REG/app`);
    await kit.ok('gc');
    await kit.ok(`pull -q ${proxy.host}/app`);
    await kit.ok('blobs refetch');
    failures = 1;
    const outcome = await kit.mica(verb.replace('PROXY', proxy.host).split(' '));
    assert.equal(outcome.code, 0, outcome.stderr);
    assert.match(outcome[stream], /^Retrying in \d+ s: .*503/m);
  });

test('every tag of a repository is pushed with --all-tags', async () => {
  await using kit = await openPulled();
  await kit.ok('tag REG/app REG/many:1');
  await kit.ok('tag REG/app REG/many:2');
  assert.equal(await kit.ok('push -q -a REG/many'), 'REG/many:1\nREG/many:2\n');
  assert.equal((await kit.mica(['push', '-a', 'REG/many:1'])).code, EXIT_CODE.INVALID_ARGUMENT);
  assert.equal((await kit.mica(['push', '-a', 'REG/none'])).code, EXIT_CODE.NOT_FOUND);
});

test('a push without the right to is refused, and names the image', async () => {
  await using kit = await openPulled();
  process.env['REGISTRY_AUTH_FILE'] = join(kit.directory, 'none');
  await kit.ok('tag REG/app REG/new:1');
  const { code, stderr } = await kit.mica(['push', 'REG/new:1']);
  assert.equal(code, EXIT_CODE.UNAUTHENTICATED);
  assert.match(stderr, /^mica: push 127\.0\.0\.1:\d+\/new:1: /);
});

test('a push of what is not here, by digest, or for another platform is refused', async () => {
  await using kit = await openPulled();
  for (const [args, code] of [
    [['REG/none'], EXIT_CODE.NOT_FOUND],
    [[`REG/app@${kit.app.descriptor.digest}`], EXIT_CODE.INVALID_ARGUMENT],
    [['--platform', 'windows/arm64', 'REG/app'], EXIT_CODE.NOT_FOUND],
  ] as const)
    assert.equal((await kit.mica(['push', ...args])).code, code, String(args));
});

test('what is saved to standard output is loaded from standard input, names and all', async () => {
  await using kit = await openPulled();
  await kit.ok('tag REG/app two:2');
  const { bytes, code } = await kit.mica(['save', 'REG/app', 'two:2']);
  assert.equal(code, 0);
  await kit.ok('rmi -f REG/app two:2');
  const loaded = await kit.ok('load -q', { stdin: bytes });
  assert.equal(loaded, 'Loaded image: REG/app:latest\nLoaded image: two:2\n');
  const [inspected] = JSON.parse(await kit.ok('inspect two:2'));
  assert.equal(inspected.Id, kit.app.config.digest);
  assert.deepEqual(inspected.RepoDigests, []);
  const zipped = await kit.ok('load --json', { stdin: gzipSync(bytes) });
  assert.equal(JSON.parse(zipped)[0].digest, kit.app.descriptor.digest);
});

test('an image that is asked for twice is saved once, in each format', async () => {
  await using kit = await openPulled();
  await kit.ok('tag REG/app app');
  for (const format of ['docker-archive', 'oci-archive', 'oci-dir']) {
    const out = join(kit.directory, format);
    await kit.ok(['save', '--format', format, '-o', out, 'app', 'app:latest', 'REG/app']);
    const loaded = await kit.ok(['load', '-q', '-i', out]);
    const lines = loaded.trim().split('\n');
    assert.equal(new Set(lines).size, lines.length, loaded);
    assert.equal(lines.length, 2, loaded);
  }
});

test('an image saved by its ID is loaded without a name', async () => {
  await using kit = await openPulled();
  const { bytes } = await kit.mica(['save', kit.app.config.digest]);
  const loaded = await kit.ok('load -q', { stdin: bytes });
  assert.equal(loaded, `Loaded image ID: ${kit.app.config.digest}\n`);
});

test('an archive is not printed on a terminal, and a file that exists stays until the new one is whole', async () => {
  await using kit = await openPulled();
  const terminal = await kit.mica(['save', 'REG/app'], { columns: 80 });
  assert.equal(terminal.code, EXIT_CODE.INVALID_ARGUMENT);
  const path = join(kit.directory, 'out.tar');
  await writeFile(path, 'mine');
  assert.equal((await kit.mica(['save', '-o', path, 'REG/none'])).code, EXIT_CODE.NOT_FOUND);
  assert.equal(await readFile(path, 'utf8'), 'mine');
  await kit.ok(`save -o ${path} REG/app`);
  assert.notEqual(await readFile(path, 'latin1'), 'mine');
  const left = (await readdir(kit.directory)).filter((name) => name.includes('out.tar'));
  assert.deepEqual(left, ['out.tar']);
});

test('a full disk or a lost blob leaves no half of an archive', async () => {
  await using kit = await openPulled();
  const [blob] = kit.app.layers;
  await writeFile(join(kit.root, 'content/blobs/sha256', blob!.digest.slice(7)), 'short');
  const path = join(kit.directory, 'out.tar');
  const { code } = await kit.mica(['save', '-o', path, 'REG/app']);
  assert.notEqual(code, 0);
  assert.deepEqual(
    (await readdir(kit.directory)).filter((name) => name.includes('out.tar')),
    [],
  );
});

test('a layout directory gets images beside those that it has, and loads', async () => {
  await using kit = await openPulled();
  const layout = join(kit.directory, 'layout');
  await kit.ok('tag REG/app two:2');
  await kit.ok(`save --format oci-dir -o ${layout} REG/app`);
  await kit.ok(`save --format oci-dir -o ${layout} two:2`);
  const index = JSON.parse(await readFile(join(layout, 'index.json'), 'utf8'));
  assert.equal(index.manifests.length, 2);
  await kit.ok('rmi -f REG/app two:2');
  const loaded = await kit.ok(`load -q -i ${layout}`);
  assert.equal(loaded, 'Loaded image: REG/app:latest\nLoaded image: two:2\n');
});

test('an archive without what the other side has is loaded there, and nowhere else', async () => {
  await using kit = await openPulled();
  const { fixture } = kit.origin;
  const platform = hostPlatform();
  const tars = [tree({ a: file('one') }), tree({ b: file('two') }), tree({ c: file('three') })];
  const grown = await fixture.image(tars, { platform });
  await kit.origin.push('grown', grown);
  await kit.ok('pull -q REG/grown');
  const { bytes } = await kit.mica(['save', '--have', 'REG/app', 'REG/grown']);
  const whole = await kit.mica(['save', 'REG/grown']);
  assert.ok(bytes.length < whole.bytes.length);
  assert.ok(!bytes.includes(kit.app.layers[0]!.digest.slice(7, 60) + '\0'));

  const there = join(kit.directory, 'there');
  const nowhere = await kit.mica(['--root', there, 'load'], { stdin: bytes });
  assert.equal(nowhere.code, EXIT_CODE.NOT_FOUND);
  assert.match(nowhere.stderr, new RegExp(kit.app.layers[0]!.digest));
  assert.equal((await kit.mica(['--root', there, 'images', '-q'])).stdout, '');
  await kit.ok(['--root', there, 'pull', '-q', 'REG/app']);
  await kit.ok(['--root', there, 'load', '-q'], { stdin: bytes });
  const listed = await kit.ok(['--root', there, 'ls', 'REG/grown', '/']);
  assert.equal(listed, 'a\nb\nc\n');
});

test("images of Docker's old archives are unpacked, and one that is broken keeps the others", async () => {
  await using kit = await openKit();
  const [base, top, other] = ['1', '2', '3'].map((text) => tarOf(tree({ [text]: file(text) })));
  const good = { tags: ['good:1', 'also:2'], layers: [base!, top!, base!] };
  await kit.ok('load -q', { stdin: dockerArchive([good]) });
  assert.equal(await kit.ok('cat also:2:/2'), '2');
  const bad = { tags: ['bad:1'], layers: [top!], tars: [other!] };
  const { code, stderr } = await kit.mica(['load'], { stdin: dockerArchive([good, bad]) });
  assert.equal(code, EXIT_CODE.DATA_LOSS);
  assert.match(stderr, /load standard input: /);
  assert.equal(await kit.ok('images -q bad'), '');
});

test('of an index of which one image came along, that one is loaded', async () => {
  await using kit = await openPulled();
  const { fixture } = kit.origin;
  const [os, architecture] = ['linux', hostPlatform().architecture === 'arm64' ? 's390x' : 'arm64'];
  const platform = { os, architecture };
  const other = await fixture.image([tree({ a: file('other') })], { platform });
  const index = fixture.index([
    { ...kit.app.descriptor, platform: hostPlatform() },
    { ...other.descriptor, platform },
  ]);
  const whole = join(kit.directory, 'whole');
  await fixture.writeLayout(whole, { 'app:1': index });
  const sparse = join(kit.directory, 'sparse');
  for (const { digest } of [kit.app.descriptor, kit.app.config]) fixture.blobs.delete(digest);
  await fixture.writeLayout(sparse, { 'app:2': index });

  const load = async (layout: string, ...more: string[]): Promise<string> => {
    const root = join(kit.directory, `${layout}-${more.length}`);
    const args = ['--root', root, 'load', '--json', '-i', layout, '--progress', 'quiet', ...more];
    return JSON.parse(await kit.ok(args))[0].id;
  };
  assert.equal(await load(whole), kit.app.config.digest);
  assert.equal(await load(whole, '--platform', `linux/${architecture}`), other.config.digest);
  assert.equal(await load(sparse), other.config.digest);
  const host = `${hostPlatform().os}/${hostPlatform().architecture}`;
  const none = join(kit.directory, 'none');
  const forHost = ['--root', none, 'load', '-i', sparse, '--platform', host];
  const absent = await kit.mica(forHost);
  assert.equal(absent.code, EXIT_CODE.NOT_FOUND);
});

test('a name with a newline, and a file that is no archive, are refused without harm', async () => {
  await using kit = await openKit();
  const layers = [tarOf(tree({ a: file('1') }))];
  for (const [stdin, code] of [
    [dockerArchive([{ tags: ['evil\nname'], layers }]), EXIT_CODE.INVALID_ARGUMENT],
    [Buffer.from('no tar'.repeat(200)), EXIT_CODE.INVALID_ARGUMENT],
    [Buffer.alloc(0), EXIT_CODE.INVALID_ARGUMENT],
  ] as const) {
    const outcome = await kit.mica(['load'], { stdin });
    assert.equal(outcome.code, code);
    assert.ok(!outcome.stderr.trimEnd().includes('\n'));
  }
  assert.equal((await kit.mica(['load', '-i', '/nonexistent'])).code, EXIT_CODE.NOT_FOUND);
  assert.equal(await kit.ok('images -q'), '');
});

test('a tar becomes an image of one layer with the changes that were asked for', async () => {
  await using kit = await openKit();
  const tar = tarOf(tree({ 'bin/x': file('x') }));
  const args = ['import', '-c', 'CMD ["/bin/x"]', '-c', 'ENV A=1', '-m', 'mine'];
  const id = (await kit.ok([...args, '-', 'base:1'], { stdin: gzipSync(tar) })).trim();
  const [image] = JSON.parse(await kit.ok('inspect base:1'));
  assert.equal(image.Id, id);
  assert.deepEqual(image.Config.Cmd, ['/bin/x']);
  assert.deepEqual(image.Config.Env, ['A=1']);
  assert.deepEqual(image.RootFS.Layers, [sha256(tar)]);
  assert.match(await kit.ok('history --no-trunc base:1'), /mine/);
  assert.equal(await kit.ok('cat base:1:/bin/x'), 'x');

  const path = join(kit.directory, 'rootfs.tar');
  await writeFile(path, tar);
  assert.match(await kit.ok(['import', '--platform', 'linux/s390x', path]), /^sha256:/);
  await using server = await serve((request, response) => {
    if (request.url === '/rootfs.tar') response.end(tar);
    else response.writeHead(404).end();
  });
  await kit.ok(['import', `${server.url}/rootfs.tar`, 'web:1']);
  assert.equal(await kit.ok('ls web:1 /bin'), 'x\n');
});

test('what is no file system, and a change that is none, are not imported', async () => {
  await using kit = await openKit();
  await using server = await serve((_, response) => void response.writeHead(404).end());
  for (const [args, code] of [
    [['-c', 'RUN make', '-'], EXIT_CODE.INVALID_ARGUMENT],
    [['-', 'name@sha256:0'], EXIT_CODE.INVALID_ARGUMENT],
    [['/nonexistent', 'a:1'], EXIT_CODE.NOT_FOUND],
    [[`${server.url}/rootfs.tar`], EXIT_CODE.NOT_FOUND],
    [['-', 'a:1'], EXIT_CODE.INVALID_ARGUMENT],
  ] as const)
    assert.equal(
      (await kit.mica(['import', ...args], { stdin: 'no tar'.repeat(200) })).code,
      code,
      String(args),
    );
  assert.equal(await kit.ok('images -q'), '');
});

test('an image goes round all places with the digest that it had', async () => {
  await using kit = await openPulled();
  const { digest } = kit.app.descriptor;
  const at = (name: string): string => join(kit.directory, name);
  for (const [from, to] of [
    ['docker://REG/app', `oci:${at('layout')}:v1`],
    [`oci:${at('layout')}:v1`, `oci-archive:${at('oci.tar')}:v1`],
    [`oci-archive:${at('oci.tar')}`, `docker-archive:${at('docker.tar')}:app/name:1`],
    [`docker-archive:${at('docker.tar')}:app/name:1`, 'docker://REG/round:1'],
    ['docker://REG/round:1', 'docker://REG/trip:1'],
    ['docker://REG/trip:1', 'mica:trip:2'],
    ['trip:2', `oci:${at('layout')}:v2`],
    [`oci:${at('layout')}:v2`, `oci:${at('plain')}`],
    [`oci:${at('plain')}`, 'again:3'],
  ] as const)
    assert.equal(await kit.ok(['copy', '-q', from, to]), `${digest}\n`, `${from} to ${to}`);
  const [image] = JSON.parse(await kit.ok('inspect trip:2'));
  assert.equal(image.Id, kit.app.config.digest);
});

test("who puts an image of Docker's format into a layout is told who does not read it", async () => {
  await using kit = await openPulled();
  await kit.ok('convert REG/app --format docker -t docker:1');
  const at = (name: string): string => join(kit.directory, name);
  const NOTE = /^Warning: docker:1 is in Docker's format, .*convert --format oci/m;
  const told = async (args: string): Promise<boolean> => {
    const { code, stdout, stderr } = await kit.mica(args.split(' '));
    assert.equal(code, 0, stderr);
    return NOTE.test(stdout + stderr);
  };
  assert.ok(await told(`copy docker:1 oci:${at('a')}:1`));
  assert.ok(await told(`copy docker:1 oci-archive:${at('b')}:1`));
  assert.ok(await told(`save --format oci-dir -o ${at('c')} docker:1`));
  assert.ok(await told(`save --format oci-archive -o ${at('d')} docker:1`));
  assert.ok(!(await told(`save -o ${at('e')} docker:1`)));
  assert.ok(!(await told(`copy docker:1 docker-archive:${at('f')}:docker:1`)));
  await kit.ok('convert docker:1 --format oci -t oci:1');
  assert.ok(!(await told(`save --format oci-archive -o ${at('g')} oci:1`)));
});

test('an index is copied whole with --all, and for one platform without', async () => {
  await using kit = await openPulled();
  const { fixture } = kit.origin;
  const platform = { os: 'linux', architecture: 's390x' };
  const other = await fixture.image([tree({ s: file('390') })], { platform });
  const index = fixture.index([
    { ...kit.app.descriptor, platform: hostPlatform() },
    { ...other.descriptor, platform },
  ]);
  const layout = join(kit.directory, 'several');
  await fixture.writeLayout(layout, { v1: index });
  const copy = (...words: string[]): Promise<string> => kit.ok(['copy', '-q', ...words]);
  assert.equal(await copy('--all', `oci:${layout}:v1`, 'docker://REG/all:1'), `${index.digest}\n`);
  const archive = join(kit.directory, 'all.tar');
  assert.equal(
    await copy('-a', 'docker://REG/all:1', `docker-archive:${archive}:all:1`),
    `${index.digest}\n`,
  );
  assert.equal(await copy(`docker-archive:${archive}`, 'one:1'), `${kit.app.descriptor.digest}\n`);
  assert.equal(
    await copy('--platform', 'linux/s390x', 'docker://REG/all:1', 'docker://REG/one:1'),
    `${other.descriptor.digest}\n`,
  );
  const refused = await kit.mica(['copy', '--all', 'docker://REG/all:1', 'x:1']);
  assert.equal(refused.code, EXIT_CODE.INVALID_ARGUMENT);
});

test('places that are none, or that have no such image, are refused', async () => {
  await using kit = await openPulled();
  for (const [from, to, code] of [
    ['oci:', 'a:1', EXIT_CODE.INVALID_ARGUMENT],
    ['oci:/nonexistent', 'a:1', EXIT_CODE.NOT_FOUND],
    ['docker://REG/none', 'a:1', EXIT_CODE.NOT_FOUND],
    ['docker://REG/app', `docker://REG/x@${kit.app.config.digest}`, EXIT_CODE.INVALID_ARGUMENT],
    ['docker://REG/app', `mica:x@${kit.app.config.digest}`, EXIT_CODE.INVALID_ARGUMENT],
    ['none:1', 'docker://REG/x', EXIT_CODE.NOT_FOUND],
    ['docker://REG/app', `docker-archive:${kit.directory}/x.tar:UPPER`, EXIT_CODE.INVALID_ARGUMENT],
  ] as const)
    assert.equal((await kit.mica(['copy', from, to])).code, code, `${from} ${to}`);
  assert.deepEqual(
    (await readdir(kit.directory)).filter((name) => name.startsWith('x.tar')),
    [],
  );
});

import assert from 'node:assert/strict';
import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { DOCKER_MANIFEST } from '../../src/oci/media-type.ts';
import type { Descriptor } from '../../src/oci/descriptor.ts';
import { sha256 } from '../../src/oci/digest.ts';
import { serve } from '../../src/testing/serve.ts';
import { file, tarOf, tree } from '../../src/testing/tree.ts';
import { windowsTar, type WindowsMember } from '../../src/testing/windows-layer.ts';
import { Client } from '../../src/testing/repository/client.ts';
import { type Kit, openKit, type Outcome, runMica } from './kit.ts';

const dir = (path: string): WindowsMember => ({ path, kind: 'directory' });

const BASE = windowsTar([
  dir('Files/Users'),
  dir('Files/Users/Public'),
  { path: 'Files/Users/Public/a.txt', content: 'hello', streams: { note: 'side' } },
  {
    path: 'Files/Documents and Settings',
    kind: 'symlink',
    target: 'C:\\Users',
    mountPoint: true,
    attributes: 0x16,
  },
  dir('Files/Windows'),
  { path: 'Files/Windows/old.dll', content: 'MZ' },
  dir('UtilityVM'),
  dir('UtilityVM/Files'),
  { path: 'UtilityVM/Files/boot.efi', content: 'efi' },
]);
const APP = windowsTar([
  dir('Files/windows'),
  { path: 'Files/windows/OLD.DLL', kind: 'tombstone' },
  { path: 'Files/windows/new.dll', content: 'new' },
  { path: 'Hives/System_Delta', content: 'regf' },
]);
const PLATFORM = { os: 'windows', architecture: 'amd64' };

let kit: Kit;
/** On a store of its own for each driver. */
let mica: (driver: string, args: string) => Promise<Outcome>;
before(async () => {
  kit = await openKit();
  await kit.origin.push(
    'win/app',
    await kit.origin.fixture.image([BASE, APP], { platform: PLATFORM }),
  );
  mica = (driver, args) =>
    runMica([
      '--root',
      join(kit.directory, driver),
      '--storage-driver',
      driver,
      ...args.split(' ').map((arg) => arg.replaceAll('REG', kit.registry).replaceAll('~', ' ')),
    ]);
});
after(() => kit[Symbol.asyncDispose]());

const ok = async (driver: string, args: string): Promise<string> => {
  const { code, stdout, stderr } = await mica(driver, args);
  assert.equal(code, 0, `mica ${args}: ${stderr}`);
  return stdout;
};
const refused = async (driver: string, args: string, why: RegExp): Promise<void> => {
  const { code, stderr } = await mica(driver, args);
  assert.notEqual(code, 0);
  assert.match(stderr, why);
};

for (const driver of ['windowsfilter', 'tar'])
  describe(`a Windows image in a store of driver ${driver}`, () => {
    before(() => ok(driver, 'pull -q --platform windows/amd64 REG/win/app'));

    test('is listed and read without a mount, by paths of either kind and in any case', async () => {
      assert.deepEqual((await ok(driver, 'ls -R REG/win/app C:\\')).split('\n').slice(1, 6), [
        'Documents and Settings',
        'Users',
        'windows',
        '',
        'C:\\\\/Users:',
      ]);
      assert.equal(await ok(driver, 'cat REG/win/app c:\\users\\PUBLIC\\a.txt'), 'hello');
      assert.equal(
        await ok(driver, 'cat REG/win/app /Files/Documents~and~Settings/public/A.TXT'),
        'hello',
      );
      assert.equal(await ok(driver, 'cat REG/win/app /Files/Users/Public/a.txt:note'), 'side');
      assert.equal(await ok(driver, 'cat REG/win/app /Hives/System_Delta'), 'regf');
      assert.equal(await ok(driver, 'cat REG/win/app UtilityVM/Files/boot.efi'), 'efi');
    });

    test('says which layer deleted a file, whatever the case of either name', async () => {
      assert.match(
        await ok(driver, 'why REG/win/app /Files/Windows/old.dll'),
        /deleted by layer 2[^]*mode 0644/,
      );
      assert.match(await ok(driver, 'layers REG/win/app'), /^ +2 .* 2 +0 +1 /m);
    });

    test('is whole, and gives the same digests when it is saved', async () => {
      await ok(driver, 'check');
      const output = join(kit.directory, `${driver}.layout`);
      await ok(driver, `copy REG/win/app oci:${output}:x`);
      for (const tar of [BASE, APP])
        assert.ok((await ok(driver, 'inspect REG/win/app')).includes(sha256(tar)));
    });

    test('is not run, nor merged', async () => {
      await refused(driver, 'create REG/win/app cmd', /image for windows\/amd64: only Linux/);
      await refused(driver, 'squash -t x REG/win/app', /registry hives/);
    });

    test('gets a layer of plain files, which Windows finds in C:', async () => {
      const source = join(kit.directory, `${driver}.plain`);
      await mkdir(join(source, 'srv'), { recursive: true });
      await writeFile(join(source, 'srv/hi.txt'), 'hi');
      await ok(driver, `append -t REG/win/more:1 REG/win/app ${source}`);
      assert.equal(await ok(driver, 'cat REG/win/more:1 C:\\SRV\\hi.txt'), 'hi');
      await ok(driver, 'check');
    });

    test('refuses an archive that is none of its kind', async () => {
      const archive = join(kit.directory, `${driver}.tar.gz`);
      await writeFile(archive, gzipSync(tarOf(tree({ 'etc/motd': file('x') }))));
      await refused(
        driver,
        `append -t REG/win/bad:1 REG/win/app ${archive}`,
        /no layer of a Windows image/,
      );
    });
  });

test('a layer directory that Windows exported is appended as the layer it is', async () => {
  const { path } = await layerDirectory();
  const source = join(path, 'fs');
  await ok('tar', `append -t REG/win/exported:1 REG/win/app ${source}`);
  assert.equal(await ok('tar', 'cat REG/win/exported:1 C:\\windows\\new.dll'), 'new');
  assert.match(
    await ok('tar', 'why REG/win/exported:1 C:\\windows\\old.dll'),
    /deleted by layer 3/,
  );
});

/** The second layer's, in the store of windowsfilter. */
async function layerDirectory(): Promise<{ path: string }> {
  const { stdout } = await mica(
    'windowsfilter',
    'inspect --format {{.GraphDriver.Data.dir}} REG/win/app',
  );
  return { path: stdout.trim() };
}

test("a layer's directory has Windows' own lists", async () => {
  const { path } = await layerDirectory();
  assert.equal(
    await readFile(join(path, 'fs/tombstones.txt'), 'utf8'),
    '\ufeffVersion 1.0\n\\windows\\OLD.DLL\n',
  );
  const chain = JSON.parse(await readFile(join(path, 'layerchain.json'), 'utf8')) as string[];
  assert.equal(chain.length, 1);
  assert.equal(await readFile(join(chain[0]!, 'layerchain.json'), 'utf8'), 'null');
});

test('a file of a layer that is changed behind its back is found, and the layer is made again', async () => {
  const { path } = await layerDirectory();
  await writeFile(join(path, 'fs/Hives/System_Delta'), 'evil');
  const { code, stdout, stderr } = await mica('windowsfilter', 'check');
  assert.notEqual(code, 0);
  assert.match(stdout + stderr, /its archive is not the one that was unpacked/);
  await ok('windowsfilter', 'check --repair');
  await ok('windowsfilter', 'check');
  assert.equal(await ok('windowsfilter', 'cat REG/win/app /Hives/System_Delta'), 'regf');
});

test('an image for Linux has no place in a store of windowsfilter, and nothing of it stays', async () => {
  await kit.origin.image('linux/app', [tree({ 'etc/motd': file('x') })]);
  await refused('windowsfilter', 'pull -q REG/linux/app', /Windows layer.*another storage driver/);
  assert.doesNotMatch(await ok('windowsfilter', 'images'), /linux/);
  await ok('windowsfilter', 'check');
});

test('a store changes from tar to windowsfilter and back, and stays whole', async () => {
  const root = ['--root', join(kit.directory, 'tar')];
  for (const driver of ['windowsfilter', 'tar']) {
    assert.equal((await runMica([...root, 'migrate', '--driver', driver])).code, 0);
    const { code, stdout, stderr } = await runMica([...root, 'check']);
    assert.equal(code, 0, stdout + stderr);
    const read = await runMica([
      ...root,
      'cat',
      `${kit.registry}/win/app`,
      'C:\\Users\\Public\\a.txt',
    ]);
    assert.equal(read.stdout, 'hello');
  }
});

test('a store whose blobs are gone changes its driver by what the directories give', async () => {
  const root = join(kit.directory, 'lost');
  const there = ['--root', root, '--storage-driver', 'windowsfilter'];
  const pulled = await runMica([
    ...there,
    'pull',
    '-q',
    '--platform',
    'windows/amd64',
    `${kit.registry}/win/app`,
  ]);
  assert.equal(pulled.code, 0, pulled.stderr);
  for (const tar of [BASE, APP]) {
    const blobs = join(root, 'content/blobs/sha256');
    await rm(join(blobs, sha256(gzipSync(tar)).slice(7)));
  }
  const moved = await runMica(['--root', root, 'migrate', '--driver', 'tar']);
  assert.equal(moved.code, 0, moved.stderr);
  for (const [at, tar] of [BASE, APP].entries()) {
    const text = (
      await runMica([
        '--root',
        root,
        'inspect',
        '--format',
        '{{json .RootFS.Layers}}',
        `${kit.registry}/win/app`,
      ])
    ).stdout;
    assert.equal((JSON.parse(text) as string[])[at], sha256(tar));
  }
  const read = await runMica([
    '--root',
    root,
    'cat',
    `${kit.registry}/win/app`,
    'C:\\windows\\NEW.dll',
  ]);
  assert.equal(read.stdout, 'new');
});

test('two images differ by what changed, not by how a layer writes a directory', async () => {
  const recased = await kit.origin.fixture.image(
    [BASE, windowsTar([dir('Files/WINDOWS'), { path: 'Files/WINDOWS/new.dll', content: 'n' }])],
    { platform: PLATFORM },
  );
  await kit.origin.push('win/recased', recased);
  const plain = await kit.origin.fixture.image([BASE], { platform: PLATFORM });
  await kit.origin.push('win/plain', plain);
  for (const name of ['recased', 'plain'])
    await ok('windowsfilter', `pull -q --platform windows/amd64 REG/win/${name}`);
  const text = await ok('windowsfilter', 'diff REG/win/plain REG/win/recased');
  assert.match(text, /\/Files\/WINDOWS\/new\.dll/);
  assert.doesNotMatch(text, /old\.dll/);
});

test('an archive is imported as an image for Windows only if it is a layer of one', async () => {
  const [good, bad] = [join(kit.directory, 'base.tar'), join(kit.directory, 'etc.tar')];
  await writeFile(good, BASE);
  await writeFile(bad, tarOf(tree({ 'etc/motd': file('x') })));
  await ok('tar', `import --platform windows(10.0.20348.1)/amd64 ${good} imported:1`);
  assert.equal(
    (await ok('tar', 'inspect --format {{.OsVersion}} imported:1')).trim(),
    '10.0.20348.1',
  );
  assert.equal(await ok('tar', 'cat imported:1 C:\\users\\public\\a.txt'), 'hello');
  await refused(
    'tar',
    `import --platform windows/amd64 ${bad} bad:1`,
    /no layer of a Windows image/,
  );
});

test('a file that is copied out can be read', async () => {
  const to = join(kit.directory, 'out.txt');
  await ok('windowsfilter', `cp REG/win/app:/Files/Users/Public/a.txt ${to}`);
  assert.equal((await stat(to)).mode & 0o777, 0o644);
  assert.equal(await readFile(to, 'utf8'), 'hello');
});

test('a base layer that only its author distributes is fetched from where he says, and not pushed', async () => {
  const blob = gzipSync(BASE);
  await using author = await serve((_, response) => void response.end(blob));
  const fixture = kit.origin.fixture;
  const image = await fixture.image([BASE, APP], { platform: PLATFORM, docker: true });
  const manifest = JSON.parse(
    Buffer.from(fixture.blobs.get(image.descriptor.digest)!).toString(),
  ) as { layers: Descriptor[] };
  const foreign = {
    mediaType: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
    digest: sha256(blob),
    size: blob.length,
    urls: [`${author.url}/layer`],
  };
  const descriptor = fixture.addJson(DOCKER_MANIFEST, {
    ...manifest,
    layers: [foreign, manifest.layers[1]],
  });
  const authorization = 'Bearer a-token-for-tests';
  const client = new Client({ url: kit.origin.url, authorization });
  for (const target of [image.config, image.layers[1]!])
    await client.pushBlob(
      'win/foreign',
      Buffer.from(fixture.blobs.get(target.digest)!),
      target.mediaType,
    );
  await client.putManifest(
    'win/foreign',
    'latest',
    Buffer.from(fixture.blobs.get(descriptor.digest)!),
    DOCKER_MANIFEST,
  );
  const root = ['--root', join(kit.directory, 'foreign'), '--storage-driver', 'windowsfilter'];
  const pulled = await runMica([
    ...root,
    'pull',
    '-q',
    '--platform',
    'windows/amd64',
    `${kit.registry}/win/foreign`,
  ]);
  assert.equal(pulled.code, 0, pulled.stderr);
  assert.equal(author.requests.length, 1);
  const read = await runMica([
    ...root,
    'cat',
    `${kit.registry}/win/foreign`,
    'C:\\Users\\Public\\a.txt',
  ]);
  assert.equal(read.stdout, 'hello');
});

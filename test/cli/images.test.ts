import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { file, link, tree, whiteout } from '../../src/testing/tree.ts';
import { type Kit, openKit } from './kit.ts';

let kit: Kit;
let app: string;
before(async () => {
  kit = await openKit();
  const base = tree({
    'etc/motd': file('old\n'),
    'etc/gone': file('x'),
    'bin/sh': file('#!'),
    'bin/ash': link('sh'),
  });
  const patch = tree({ 'etc/motd': file('new motd\n'), 'etc/gone': whiteout() });
  const other = tree({ 'srv/data': file('data') });
  const options = {
    compression: 'none',
    config: { Env: ['A=b'], Labels: { 'a.b': 'c' } },
  } as const;
  app = (await kit.origin.image('team/app', [base, patch], options)).config.digest;
  await kit.origin.image('team/other', [base, other], { compression: 'none' });
  await kit.ok('pull -q REG/team/app');
  await kit.ok('pull -q REG/team/other');
});
after(() => kit[Symbol.asyncDispose]());

test("images are listed in docker's columns", async () => {
  const text = await kit.ok('images');
  assert.match(text, /^REPOSITORY +TAG +IMAGE ID +CREATED +SIZE\n/);
  assert.match(text, /^REG\/team\/app +latest +[0-9a-f]{12} +\d+ years ago +18B$/m);
});

test('images are chosen by name, by filter and by what they hold', async () => {
  const names = (args: string): Promise<string> =>
    kit
      .ok(`images --format {{.Repository}} ${args}`)
      .then((text) => text.trim().split('\n').sort().join(' '));
  assert.equal(await names('REG/team/app'), 'REG/team/app');
  assert.equal(await names('*/team/*'), 'REG/team/app REG/team/other');
  assert.equal(await names('--filter reference=*/*/oth?r'), 'REG/team/other');
  assert.equal(await names('--filter reference=REG/[s-u]eam/[^a-m]*'), 'REG/team/other');
  assert.equal(await names('--filter reference=*/[u-s]eam/*'), '');
  assert.equal(await names(`--filter reference=*/*/${'*a'.repeat(500)}b`), '');
  const { code, stderr } = await kit.mica(['images', '[']);
  assert.deepEqual([code, stderr], [2, 'mica: the pattern "[" has a [ without its ]\n']);
  assert.equal(await names('--filter label=a.b=c'), 'REG/team/app');
  assert.equal(await names('--filter dangling=true'), '');
  assert.equal(await names('--filter dangling=false --filter label=a.b=d'), '');
  assert.equal(await names('--filter label=a.b --filter label=not.there'), '');
  assert.match(await names('--filter until=1h'), /REG\/team\/app/);
  assert.equal(await names('--filter until=1990-01-01'), '');
});

test("image inspect prints an array of docker's objects, and templates pick from them", async () => {
  const [object] = JSON.parse(await kit.ok('image inspect REG/team/app')) as Record<
    string,
    unknown
  >[];
  assert.deepEqual(Object.keys(object!), [
    'Id',
    'RepoTags',
    'RepoDigests',
    'Parent',
    'Comment',
    'Created',
    'DockerVersion',
    'Author',
    'Config',
    'Architecture',
    'Os',
    'Size',
    'GraphDriver',
    'RootFS',
    'Metadata',
  ]);
  assert.deepEqual(object!['RepoTags'], ['REG/team/app:latest']);
  assert.equal(await kit.ok('inspect -f {{.Id}} REG/team/app'), `${app}\n`);
  const layers = JSON.parse(await kit.ok('inspect -f json REG/team/app')) as {
    RootFS: { Layers: string[] };
  }[];
  const template = '{{range $i, $e := .RootFS.Layers}}{{$i}}={{$e}} {{end}}';
  const [first, second] = layers[0]!.RootFS.Layers;
  const text = await kit.ok(['inspect', '-f', template, 'REG/team/app']);
  assert.equal(text, `0=${first} 1=${second} \n`);
});

test('what is not there is named on standard error, the rest is printed', async () => {
  const { code, stdout, stderr } = await kit.mica([
    'inspect',
    '-f',
    '{{.Os}}',
    'nope',
    'REG/team/app',
  ]);
  assert.deepEqual([code, stdout], [3, 'linux\n']);
  assert.match(stderr, /^mica: no such image: nope/);
});

test('history joins steps and layers', async () => {
  const text = await kit.ok('history REG/team/app');
  const lines = text.split('\n');
  assert.match(lines[0]!, /^IMAGE +CREATED +CREATED BY +SIZE +COMMENT$/);
  assert.match(lines[1]!, new RegExp(`^${app.slice(7, 19)} .*fixture layer 1 +9B *$`));
  assert.match(lines[2]!, /^<missing> .*fixture layer 0 +9B *$/);
});

test('a tag is another name, and an image goes with its last one', async () => {
  const id = app.slice(7, 19);
  await kit.ok(`tag ${id} app:2`);
  assert.equal((await kit.mica(['rmi', id])).code, 5);
  assert.equal(await kit.ok('rmi app:2'), 'Untagged: app:2\n');
  const removed = await kit.ok('rmi REG/team/other');
  assert.match(
    removed,
    /^Untagged: REG\/team\/other:latest\nUntagged: REG\/team\/other@sha256:[0-9a-f]{64}\nDeleted: sha256:/,
  );
  const { code } = await kit.mica(['rmi', 'REG/team/other']);
  assert.equal(code, 3);
  await kit.ok('pull -q REG/team/other');
});

test('layers show what each adds, changes, deletes, and who shares it', async () => {
  const [head, first, second] = (await kit.ok('layers REG/team/app')).split('\n');
  assert.match(
    head!,
    /LAYER +DIFF ID +DIGEST +COMPRESSED +UNPACKED +ADDED +CHANGED +DELETED +SHARED WITH +CREATED BY/,
  );
  assert.match(first!, /^ +1 .* 9B +4 +0 +0 +REG\/team\/other:latest +fixture layer 0$/);
  assert.match(second!, /^ +2 .* 9B +0 +1 +1 +- +fixture layer 1$/);
});

test('tree parts where images part', async () => {
  const text = await kit.ok('tree');
  assert.match(
    text,
    /^● layer 1: 9B {2}[0-9a-f]{12}\n├─● layer 2: \d+B {2}[0-9a-f]{12}\n│ {3}▶ REG\/team\/(app|other):latest/,
  );
  assert.match(text, /2 images, 3 layers: 22B on disk once, 31B if nothing were shared\n$/);
});

test('why names the layer that gives a path, and what that hides', async () => {
  const motd = await kit.ok('why REG/team/app /etc/motd');
  assert.match(motd, /^\/etc\/motd: file of 9B, .*from layer 2, hides an older version\n/);
  assert.match(motd, /layer 2 [0-9a-f]{12}: provides it/);
  assert.match(motd, /layer 1 [0-9a-f]{12}: hidden, replaced by layer 2/);
  assert.match(
    await kit.ok('why REG/team/app:/etc/gone'),
    /deletes it, by a whiteout of \/etc\/gone/,
  );
  assert.match(await kit.ok('why REG/team/app:/bin/ash'), /It leads to:\n\/bin\/sh: file/);
  const absent = await kit.mica(['why', 'REG/team/app', '/nope']);
  assert.deepEqual([absent.code, absent.stdout], [3, '/nope: no layer has it\n']);
});

test('ls and cat read the union, or its first layers', async () => {
  assert.equal(await kit.ok('ls REG/team/app'), 'bin\netc\n');
  assert.equal(await kit.ok('ls REG/team/app@1 /etc'), 'gone\nmotd\n');
  assert.equal(
    await kit.ok('ls -l REG/team/app:/bin/ash'),
    'lrwxrwxrwx 1 0 0 2 2020-09-13 12:26 @1 /bin/ash -> sh\n',
  );
  assert.equal(
    await kit.ok('ls -R REG/team/app'),
    '/:\nbin\netc\n\n/bin:\nash\nsh\n\n/etc:\nmotd\n',
  );
  assert.equal(await kit.ok('cat REG/team/app:/etc/motd'), 'new motd\n');
  assert.equal(await kit.ok('cat REG/team/app@1 /etc/motd /etc/gone'), 'old\nx');
  assert.equal((await kit.mica(['cat', 'REG/team/app:/etc'])).code, 6);
});

test('df attributes, gc and check find nothing to do', async () => {
  const usage = JSON.parse(await kit.ok('df --json')) as { total: number; images: unknown[] };
  assert.equal(usage.images.length, 2);
  assert.match(await kit.ok('df'), /used by REG\/team\/\w+:latest, REG\/team\/\w+:latest\n/);
  assert.equal(await kit.ok('gc'), 'Total reclaimed space: 0B\n');
  assert.match(
    await kit.ok('check'),
    /^Checked 2 images, 3 layers, \d+ blobs: everything is as it should be\n$/,
  );
});

test('every command that prints data prints it as JSON, too', async () => {
  for (const line of [
    'images',
    'inspect REG/team/app',
    'history REG/team/app',
    'layers REG/team/app',
    'tree',
    'why REG/team/app /bin',
    'df',
    'info',
    'version',
    'check',
    'gc',
    'mount',
    'pull REG/team/app',
    'pull --dry-run REG/team/app',
    'prune --dry-run',
  ])
    JSON.parse(await kit.ok(`${line} --json`));
});

test('prune asks, and does nothing where nobody can answer', async () => {
  const { code, stderr } = await kit.mica(['image', 'prune', '-a']);
  assert.equal(code, 6);
  assert.match(stderr, /standard input is not a terminal/);
  assert.match(await kit.ok('images -q'), /^[0-9a-f]{12}\n[0-9a-f]{12}\n$/);
});

test('prune takes only what has such labels', async () => {
  const would = async (filter: string): Promise<number> =>
    (
      JSON.parse(await kit.ok(`image prune -a --dry-run --json --filter ${filter}`)) as {
        images: string[];
      }
    ).images.length;
  assert.deepEqual(
    await Promise.all(['label=a.b=c', 'label!=a.b', 'label=a.b=d', 'label!=nope'].map(would)),
    [1, 1, 0, 2],
  );
});

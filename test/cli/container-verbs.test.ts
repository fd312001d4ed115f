import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { openEngine } from '../../src/engine/open.ts';
import { file as regular, hardlink, tarOf, tree } from '../../src/testing/tree.ts';
import { mountsBelow } from '../support/store.ts';
import { type ContainerKit, openContainerKit, skip } from './container-kit.ts';

const MICA = join(import.meta.dirname, '../../src/cli/main.ts');

const sh = (script: string): string[] => ['sh', '-c', script];

describe('verbs on containers', { skip }, () => {
  let box: ContainerKit & AsyncDisposable;
  before(async () => {
    box = await openContainerKit();
  });
  after(() => box[Symbol.asyncDispose]());

  test('a running container is entered, looked at, paused, renamed and stopped', async () => {
    const obeys = sh('trap "exit 3" TERM; touch /up; while :; do sleep 0.05; done');
    await box.ok(['run', '-d', '--name', 'web', '-e', 'A=1', 'box', ...obeys]);
    while ((await box.mica('exec web test -e /up')).code !== 0);
    const script = 'id -u; pwd; echo $A $B; exit 4';
    const ran = await box.mica([
      'exec',
      '-u',
      'joe',
      '-w',
      '/data',
      '-e',
      'B=2',
      'web',
      ...sh(script),
    ]);
    assert.deepEqual([ran.code, ran.stdout], [4, '1000\n/data\n1 2\n']);
    assert.equal(await box.ok('exec -i web cat', { stdin: 'in' }), 'in');
    assert.equal((await box.mica('exec web nothing')).code, 127);
    assert.match(await box.ok('top web'), /^UID +PID +PPID/);
    await box.ok('pause web');
    const started = await box.mica('start web');
    assert.equal(started.code, 6);
    assert.match(started.stderr, /it is paused; `mica unpause` lets it go on/);
    assert.match(await box.ok('ps'), /\(Paused\)/);
    assert.equal((await box.mica('exec web true')).code, 6);
    await box.ok('unpause web');
    await box.ok('rename web site');
    assert.equal((await box.mica('inspect --type container web')).code, 3);
    await box.ok('stop site');
    assert.match(await box.ok('ps -a'), /Exited \(3\)/);
    assert.equal(await box.ok('wait site'), '3\n');
    assert.deepEqual(mountsBelow(join(box.kit.root, 'containers')), []);
    await box.ok('restart site');
    await box.ok('kill site');
    assert.equal(await box.ok('wait site'), '137\n');
    await box.clear();
  });

  test('who attaches sees what comes, and ends as the container does', async () => {
    await box.ok([
      'run',
      '-di',
      '--name',
      'talk',
      'box',
      ...sh('read line; echo got $line; exit 5'),
    ]);
    const ran = await box.mica('attach talk', { stdin: 'it\n' });
    assert.deepEqual([ran.code, ran.stdout], [5, 'got it\n']);
    await box.clear();
  });

  test('diff tells what was added, changed and deleted, and nothing that was made to mount on', async () => {
    const script =
      'echo 2 > /data/one; rm /data/two; mkdir /new; echo x > /new/file; chmod 700 /data/three';
    await box.ok(['run', '--name', 'changed', 'box', ...sh(script)]);
    const expected = 'C /data\nC /data/one\nC /data/three\nD /data/two\nA /new\nA /new/file\n';
    assert.equal(await box.ok('diff changed'), expected);
    await box.ok('run --name same box true');
    assert.equal(await box.ok('diff same'), '');
    await box.clear();
  });

  test('an empty /etc/hosts that has another name is in diff and commit with it', async () => {
    const archive = tarOf(tree({ 'etc/hosts': regular(''), 'z/other': hardlink('etc/hosts') }));
    await box.ok(['create', '--name', 'linked', 'box', ...sh('true')]);
    await box.ok('cp - linked:/', { stdin: archive });
    await box.ok('start -a linked');
    const changes = await box.ok('diff linked');
    assert.match(changes, /^A \/etc\/hosts$/m);
    assert.match(changes, /^A \/z\/other$/m);
    await box.ok('commit linked linked:1');
    assert.equal(await box.ok('cat linked:1:/z/other'), '');
    await box.ok('rm linked');
    await box.ok('rmi linked:1');
  });

  test('what is in volumes is in no diff and no commit, and what has names outside is there whole', async () => {
    const script =
      'echo 2 > /data/one; rm /data/two; echo x > /made/file; ln /made/file /outside; ln /made/file /twice; echo y > /new';
    const volumes = ['-v', '/data', '--mount', 'type=volume,target=/made'];
    await box.ok(['run', '--name', 'kept', ...volumes, 'box', ...sh(script)]);
    assert.equal(await box.ok('diff kept'), 'A /made\nA /new\nA /outside\nA /twice\n');
    await box.ok('commit kept committed');
    const look =
      'cat /data/one /data/two; ls /made; cat /twice; [ /twice -ef /outside ] && echo same';
    assert.equal(await box.ok(['run', '--rm', 'committed', ...sh(look)]), 'onetwox\nsame\n');
    const declared = await box.ok(['inspect', '-f', '{{json .Config.Volumes}}', 'committed']);
    assert.equal(declared, '{"/data":{},"/made":{}}\n');
    assert.equal(await box.ok('cp kept:/made/file -').then((tar) => tar.includes('x\n')), true);
    await box.ok('rm kept');
    await box.ok([
      'run',
      '--name',
      'bound',
      '-v',
      `${box.kit.directory}:/data`,
      'committed',
      'true',
    ]);
    assert.equal(await box.ok('diff bound'), '');
    await box.clear();
    await box.ok('rmi committed');
  });

  test('layers of a container are those of its image and the writable one', async () => {
    await box.ok([
      'run',
      '--name',
      'top',
      'box',
      ...sh('echo 1 > /data/one; echo 2 > /x; rm /data/two'),
    ]);
    const lines = (await box.ok('layers top')).trimEnd().split('\n');
    assert.equal(lines.length, 4);
    assert.match(lines[3]!, / 1 +2 +1 +- +writable, of container top$/);
    await box.clear();
  });

  test('export is the tree as one archive', async () => {
    await box.ok(['run', '--name', 'whole', 'box', ...sh('echo hi > /greeting; rm /data/two')]);
    const file = join(box.kit.directory, 'whole.tar');
    await box.ok(['export', '-o', file, 'whole']);
    const list = spawnSync('tar', ['-tf', file], { encoding: 'utf8' }).stdout.split('\n');
    assert.ok(list.includes('greeting') && list.includes('data/three') && list.includes('bin/sh'));
    assert.ok(!list.includes('data/two'));
    assert.deepEqual(mountsBelow(join(box.kit.root, 'containers')), []);
    // What fails takes nothing away from who has exported before.
    const old = readFileSync(file);
    assert.equal((await box.mica(['export', '-o', file, 'nobody'])).code, 3);
    assert.deepEqual(readFileSync(file), old);
    const other = join(box.kit.directory, 'other.tar');
    assert.equal((await box.mica(['export', '-o', other, 'nobody'])).code, 3);
    assert.deepEqual(
      readdirSync(box.kit.directory).filter((name) => /other\.tar|\.new$/.test(name)),
      [],
    );
    await box.ok(['export', '-o', '/dev/null', 'whole']);
    assert.ok(statSync('/dev/null').isCharacterDevice());
    await box.clear();
  });

  test('commit keeps the format of the image by its name, whatever else has the same ID', async () => {
    const mediaTypeOf = async (name: string): Promise<unknown> => {
      const layout = join(box.kit.directory, 'layout');
      await box.ok(['save', '-q', '--format', 'oci-dir', '-o', layout, name]);
      const index = JSON.parse(readFileSync(join(layout, 'index.json'), 'utf8')) as {
        manifests: { mediaType: string }[];
      };
      rmSync(layout, { recursive: true });
      return index.manifests[0]?.mediaType;
    };
    const own = await mediaTypeOf('box');
    const other = own === 'application/vnd.oci.image.manifest.v1+json' ? 'docker' : 'oci';
    await box.ok('create --name work box true');
    await box.ok(`convert --format ${other} -t other box`);
    assert.notEqual(await mediaTypeOf('other'), own);
    await box.ok('commit work committed');
    assert.equal(await mediaTypeOf('committed'), own);
    await box.ok('rmi committed other');
    await box.clear();
  });

  test('commit makes an image of what was changed; container and old image stay as they are', async () => {
    const unchanged = await box.ok('inspect box');
    const script = 'echo patched > /data/one; rm /data/two; while :; do sleep 0.05; done';
    await box.ok(['run', '-d', '--name', 'work', '-e', 'B=2', 'box', ...sh(script)]);
    while (!(await box.ok('diff work')).includes('D /data/two'));
    const change = ['-c', 'CMD ["cat","/data/one"]', '-c', 'ENV C=3', '-a', 'me', '-m', 'a patch'];
    const id = (await box.ok(['commit', ...change, 'work', 'patched:1'])).trim();
    assert.match(id, /^sha256:[0-9a-f]{64}$/);
    assert.equal(await box.ok(['ps', '--format', '{{.Names}} {{.State}}']), 'work running\n');
    assert.equal(await box.ok('run --rm patched:1'), 'patched\n');
    assert.equal((await box.mica('run --rm patched:1 cat /data/two')).code, 1);
    assert.equal(await box.ok('run --rm box cat /data/one /data/two'), 'onetwo');
    assert.equal(await box.ok('inspect box'), unchanged);
    const format = '{{.Author}} {{.Config.Env}} {{len .RootFS.Layers}}';
    const text = await box.ok(['inspect', '-f', format, 'patched:1']);
    assert.equal(text, 'me [PATH=/bin FROM_IMAGE=yes B=2 C=3] 3\n');
    assert.match(await box.ok('history --no-trunc patched:1'), /a patch/);
    assert.equal((await box.mica('check')).code, 0);
    await box.clear();
  });

  test('commit makes its image also of a container that somebody lets go on meanwhile', async () => {
    await box.ok('run -d --name work box sleep 1000');
    const { root } = box.kit;
    await using engine = await openEngine({ root, driver: 'overlay2' });
    let asked = 0;
    const options = {
      names: ['committed'],
      // Asked for when the files have been read, and the container still stands.
      get changes(): string[] {
        if (asked++ === 0)
          execFileSync(process.execPath, [MICA, '--root', root, 'unpause', 'work']);
        return [];
      },
    };
    const { id } = await engine.containers.commit('work', options);
    assert.equal(await box.ok('inspect -f {{.Id}} committed'), `${id}\n`);
    assert.equal(asked, 1);
    await box.clear();
    await box.ok('rmi committed');
  });

  test('ps finds by network and by what is mounted', async () => {
    const { directory } = box.kit;
    await box.ok('create --name plain box');
    await box.ok(`create --name special --network host -v ${directory}:/there box`);
    const find = (filter: string): Promise<string> =>
      box.ok(['ps', '-a', '--filter', filter, '--format', '{{.Names}}']);
    assert.equal(await find('network=host'), 'special\n');
    assert.equal(await find('network=none'), 'plain\n');
    assert.equal(await find('volume=/there'), 'special\n');
    assert.equal(await find(`volume=${directory}`), 'special\n');
    assert.equal(await find('health=none'), 'special\nplain\n');
    assert.equal(await find('publish=80'), '');
    assert.equal((await box.mica('ps --filter status=nonsense')).code, 2);
    await box.clear();
  });

  test('system prune removes containers that do not run, as docker does, and image prune none', async () => {
    await box.ok('run -d --name stays box sleep 1000');
    await box.ok('create --name goes --label a=1 --label b box');
    await box.ok('image prune -f');
    await box.ok('system prune -f --filter label=a=2');
    await box.ok('container prune -f --filter label=a --filter label!=b');
    await box.ok('system prune -f --filter until=1h');
    assert.equal(await box.ok(['ps', '-a', '--format', '{{.Names}}']), 'goes\nstays\n');
    const filter = ['--filter', 'label=a=1', '--filter', 'label=b'];
    const { containers } = JSON.parse(await box.ok(['prune', '-f', '--json', ...filter])) as {
      containers: string[];
    };
    assert.equal(containers.length, 1);
    assert.equal(await box.ok(['ps', '-a', '--format', '{{.Names}}']), 'stays\n');
    await box.ok('images -q box');
    await box.clear();
  });

  test('a container has the labels of its image, too, for ps and for prune', async () => {
    await box.ok('mutate box -l of.image=a -l of.both=image -t labelled');
    await box.ok('create --name own -l of.both=own labelled');
    await box.ok('create --name plain box');
    const named = (filter: string): Promise<string> =>
      box.ok(['ps', '-a', '--filter', filter, '--format', '{{.Names}} {{.Labels}}']);
    assert.equal(await named('label=of.image=a'), 'own of.image=a,of.both=own\n');
    assert.equal(await named('label=of.both=image'), '');
    const [row] = JSON.parse(await box.ok('ps -a --json --filter name=own')) as {
      labels: object;
    }[];
    assert.deepEqual(row!.labels, { 'of.image': 'a', 'of.both': 'own' });
    const inspected = await box.ok(['inspect', '-f', '{{json .Config.Labels}}', 'own']);
    assert.equal(inspected, '{"of.both":"own","of.image":"a"}\n');
    await box.ok('container prune -f --filter label!=of.image');
    assert.equal(await box.ok(['ps', '-a', '--format', '{{.Names}}']), 'own\n');
    await box.ok('prune -f --filter label=of.image=a');
    assert.equal(await box.ok(['ps', '-a', '--format', '{{.Names}}']), '');
    await box.ok('rmi -f labelled');
  });

  test('prune removes what does not run', async () => {
    await box.ok('run -d --name stays box sleep 1000');
    await box.ok('create --name goes box');
    assert.match(
      await box.ok('system prune --dry-run'),
      /^Would delete containers:\n[0-9a-f]{64}\n\nWould be/,
    );
    assert.match(await box.ok('container prune -f'), /^Deleted Containers:\n[0-9a-f]{64}\n\nTotal/);
    assert.equal(await box.ok(['ps', '-a', '--format', '{{.Names}}']), 'stays\n');
    await box.clear();
  });

  test('--env-file and --label-file are read, comments left out', async () => {
    const file = join(box.kit.directory, 'env');
    writeFileSync(file, '# none\nX=1\n\nY=a b\n');
    assert.equal(
      await box.ok(['run', '--rm', '--env-file', file, 'box', ...sh('echo $X $Y')]),
      '1 a b\n',
    );
  });
});

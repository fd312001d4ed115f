import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { readMountinfo } from '../sys/mountinfo.ts';
import { type BuildPlace, buildPlace, type Built, treeOf } from '../testing/build.ts';
import { needs } from '../testing/need.ts';
import { runInUserNamespace } from '../testing/user-namespace.ts';

const skip = needs('overlay', 'busybox', 'crun');

/** A base with a shell, named `base`, and a place to build on it. */
async function shellPlace(driver = 'overlay2'): Promise<BuildPlace> {
  const place = await buildPlace(driver);
  const context = await place.context({
    'etc/passwd': 'root:x:0:0::/root:/bin/sh\nbob:x:7:8::/home:/bin/sh\n',
  });
  const busybox = execFileSync('sh', ['-c', 'command -v busybox'], { encoding: 'utf8' }).trim();
  copyFileSync(busybox, join(context, 'busybox'));
  await place.builder.build({
    context,
    dockerfile: Buffer.from(
      'FROM scratch\nCOPY busybox /bin/\nCOPY etc /etc\nRUN ["/bin/busybox", "--install", "-s", "/bin"]\n',
    ),
    tags: ['base'],
  });
  return place;
}

const said = ({ events }: Pick<Built, 'events'>): string =>
  events
    .map((event) => (event.type === 'output' ? Buffer.from(event.data).toString() : ''))
    .join('');

/** Files that are not the base's. */
const added = async (place: BuildPlace, built: Built): Promise<string[]> =>
  (await treeOf(place.engine, built)).filter(
    (line) => !/^\/(?:bin\/|etc\/(?: |passwd))/.test(line),
  );

const isLeft = (place: BuildPlace): string[] => [
  ...readdirSync(join(place.directory, 'store/build')),
  ...readdirSync(join(place.directory, 'store/containers')),
  ...readMountinfo()
    .map(({ target }) => target)
    .filter((target) => target.startsWith(`${place.directory}/store/containers`)),
];

describe('RUN', { skip: false }, () => {
  let place: BuildPlace;
  before(async () => {
    if (!skip) place = await shellPlace();
  });
  after(() => place?.[Symbol.asyncDispose]());

  test('what a command changes becomes a layer, and what it says is heard', { skip }, async () => {
    const built = await place.build(
      `FROM base
RUN echo one; echo two >&2; echo x > /made; rm /etc/passwd; mkdir -p /d && chmod 700 /d
RUN true
`,
    );
    assert.match(said(built), /one/);
    assert.match(said(built), /two/);
    assert.deepEqual(await added(place, built), ['/d/ 700', '/made 644 x\n']);
    assert.ok(!(await treeOf(place.engine, built)).some((line) => line.startsWith('/etc/passwd')));
    const history = built.image.config.history!;
    assert.equal(history.at(-1)!.empty_layer, true, 'what changes nothing makes no layer');
    assert.equal(history.at(-2)!.created_by?.startsWith('RUN /bin/sh -c echo one'), true);
    assert.deepEqual(isLeft(place), []);
  });

  const COMMANDS: readonly (readonly [dockerfile: string, output: string])[] = [
    ['RUN ["/bin/echo", "$HOME", "a b"]', '$HOME a b\n'],
    ['SHELL ["/bin/sh", "-ec"]|RUN echo $-', 'ce\n'],
    ['USER bob|RUN id -u; id -g; echo $HOME', '7\n8\n/home\n'],
    ['WORKDIR /w/x|RUN pwd', '/w/x\n'],
    ['ENV A=1|ARG B=2|ARG A=3|RUN echo $A$B', '1given\n'],
    ['ARG B|RUN echo ${B:-none}', 'given\n'],
    ['RUN echo ${B:-none}', 'none\n'],
    ['RUN echo $http_proxy', 'http://proxy\n'],
    ['RUN <<E|echo a|echo b|E', 'a\nb\n'],
    ['RUN <<E cat|$PATH|E', '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n'],
    ['RUN <<"E" cat|$PATH|E', '$PATH\n'],
    ['RUN cat <<A; cat <<B|a|A|b|B', 'a\nb\n'],
    ['RUN <<E|#!/bin/cat|text|E', '#!/bin/cat\ntext\n'],
    ['RUN --network=none ip -o link | wc -l', '1\n'],
    ['RUN hostname 2>/dev/null || cat /proc/sys/kernel/hostname', 'build\n'],
  ];
  for (const [text, output] of COMMANDS)
    test(`${text} runs as docker runs it`, { skip }, async () => {
      const lines = text.replaceAll(/(?<! )\|(?! )/g, '\n');
      const options = { args: { B: 'given', http_proxy: 'http://proxy' }, noCache: true };
      assert.equal(said(await place.build(`FROM base\n${lines}\n`, {}, options)), output);
    });

  test('a network for all RUN is of those that do not say another', { skip }, async () => {
    const links = 'ip -o link | wc -l';
    const text = `FROM base\nRUN ${links}\nRUN --network=host ${links}; true\n`;
    const built = await place.build(text, {}, { network: 'none', noCache: true });
    const [own, host] = said(built).split('\n');
    assert.equal(own, '1');
    assert.ok(Number(host) >= 1);
    const again = await place.build(text, {}, { network: 'host' });
    assert.deepEqual([again.cached, again.steps], [1, 2], 'the network is part of the key');
  });

  test('mounts show directories that were named as contexts', { skip }, async () => {
    const more = await place.context({ 'in/file': 'from more', '.dockerignore': 'no', no: 'x' });
    const text = `FROM base
RUN --mount=from=more,target=/more cat /more/in/file; ls -A /more
RUN --mount=type=cache,from=more,source=in,target=/cache cat /cache/file
`;
    const built = await place.build(text, {}, { contexts: { more: { directory: more } } });
    assert.equal(said(built), 'from more.dockerignore\nin\nfrom more');
  });

  test('mounts bring files, and leave nothing in the image', { skip }, async () => {
    const built = await place.build(
      `FROM base AS other
RUN echo from-other > /file
FROM base
RUN --mount=target=/ctx \\
    --mount=type=bind,source=a,target=/one/two/file \\
    --mount=type=bind,from=other,source=/file,target=/other \\
    --mount=type=bind,from=base,target=/whole,rw \\
    --mount=type=tmpfs,target=/tmp/fs \\
    cat /ctx/a /one/two/file /other && echo y > /whole/x && echo z > /tmp/fs/x \\
    && ! (echo n > /ctx/a) 2>/dev/null && ls /ctx && stat -c %u /ctx/a
`,
      { a: 'A\n', ignored: '', '.dockerignore': 'ignored' },
    );
    assert.equal(said(built), 'A\nA\nfrom-other\na\n0\n');
    assert.deepEqual(await added(place, built), []);
    assert.equal(built.image.config.history!.at(-1)!.empty_layer, true);
    assert.deepEqual(isLeft(place), []);
  });

  test('what a command puts beside a mount point stays', { skip }, async () => {
    const built = await place.build(
      'FROM base\nRUN --mount=type=tmpfs,target=/m/fs echo x > /m/kept; echo y > /m/fs/lost\n',
    );
    assert.deepEqual(await added(place, built), ['/m/ 755', '/m/kept 644 x\n']);
  });

  test('a cache outlives the build, by its id, with its owner', { skip }, async () => {
    const run = (mount: string): string =>
      `FROM base\nRUN --mount=type=cache,target=/c,${mount} echo x >> /c/n; wc -l < /c/n; stat -c %u:%g:%a /c\n`;
    const options = { noCache: true };
    assert.equal(
      said(await place.build(run('id=k,uid=7,gid=8,mode=0700'), {}, options)),
      '1\n7:8:700\n',
    );
    assert.equal(said(await place.build(run('id=k,sharing=locked'), {}, options)), '2\n7:8:700\n');
    assert.equal(said(await place.build(run('id=other'), {}, options)), '1\n0:0:755\n');
    // Each has its cache until the other has one, too.
    const one = (stage: string): string => `FROM base AS ${stage}
RUN --mount=type=cache,id=p,sharing=private,target=/c --mount=type=cache,id=meet,target=/meet \\
    echo a >> /c/x; touch /meet/${stage}; \\
    for i in $(seq 6000); do [ -e /meet/a -a -e /meet/b ] && break; sleep 0.01; done; cat /c/x > /seen
`;
    const both = await place.build(
      `${one('a')}${one('b')}FROM base\nCOPY --from=a /seen /a\nCOPY --from=b /seen /b\n`,
      {},
      options,
    );
    assert.deepEqual(await added(place, both), ['/a 644 a\n', '/b 644 a\n']);
    await place.builder.prune({ all: true });
    assert.equal(said(await place.build(run('id=k'), {}, options)), '1\n0:0:755\n');
  });

  test('hosts that are added are there, and part of the key', { skip }, async () => {
    const text = 'FROM base\nRUN grep -c "^192.0.2.7.db$" /etc/hosts\n';
    for (const network of ['none', 'host'] as const)
      await place.build(text, {}, { network, hosts: ['db:192.0.2.7'] });
    await assert.rejects(place.build(text, {}, { hosts: ['db:192.0.2.8'] }), {
      code: 'FAILED_PRECONDITION',
    });
  });

  test('secrets are there while the command runs, and nowhere afterwards', { skip }, async () => {
    const secret = 'a-secret-that-is-nowhere-else';
    const path = join(place.directory, 'secret');
    writeFileSync(path, secret);
    const dockerfile = `FROM base
RUN --mount=type=secret,id=key --mount=type=secret,id=key,env=KEY --mount=type=secret,id=key,target=/k,mode=0444,uid=7 \\
    [ "$(cat /run/secrets/key)" = "$KEY" ] && [ "$(cat /k)" = "$KEY" ] && stat -c %u%a /k /run/secrets/key && mount | grep -c 'run/secrets.*tmpfs.*ro'
`;
    const built = await place.build(dockerfile, {}, { secrets: { key: path } });
    assert.equal(said(built), '7444\n0400\n1\n');
    assert.deepEqual(await added(place, built), []);
    assert.ok(!JSON.stringify([built.image, built.events]).includes(secret));
    const found = execFileSync('sh', [
      '-c',
      `grep -rlF ${secret} '${join(place.directory, 'store')}' || true`,
    ]);
    assert.equal(found.toString(), '');
    writeFileSync(path, 'another');
    const again = await place.build(dockerfile, {}, { secrets: { key: path } });
    assert.equal(again.cached, again.steps, 'the content of a secret is not part of the key');
    await assert.rejects(
      place.build('FROM base\nRUN --mount=type=secret,id=none,required true\n'),
      { code: 'INVALID_ARGUMENT' },
    );
    const optional = await place.build(
      'FROM base\nRUN --mount=type=secret,id=none ls /run/secrets 2>&1 | wc -l\n',
    );
    assert.equal(said(optional), '1\n');
  });

  test('a command is run again when something it depends on is different', { skip }, async () => {
    const reasons = ({ events }: Built): unknown[] =>
      events.flatMap((event) =>
        event.type !== 'done' || event.cache === undefined || event.cache.hit
          ? []
          : event.cache.reasons.map((reason) => ('input' in reason ? reason.input : reason.kind)),
      );
    const build = (text: string, files = {}, args = {}): Promise<Built> =>
      place.build(`FROM base\n${text}`, files, { args });
    const text = 'ARG V=1\nENV E=1\nRUN --mount=target=/c,source=f true x1\n';
    await build(text, { f: '1' });
    assert.deepEqual(reasons(await build(text, { f: '1' })), []);
    assert.deepEqual(reasons(await build(text, { f: '1' }, { V: '2' })), ['the argument V']);
    assert.deepEqual(reasons(await build(text, { f: '2' })), ['the mount /c: it']);
    assert.deepEqual(reasons(await build(text.replace('E=1', 'E=2'), { f: '1' })), [
      'the variable E',
    ]);
    assert.deepEqual(reasons(await build(`USER bob\n${text}`, { f: '1' })), ['the user']);
    assert.deepEqual(reasons(await build(text.replace('x1', 'x2'), { f: '1' })), ['the command']);
    assert.deepEqual(reasons(await build(text, { f: '1' }, { HTTP_PROXY: 'p' })), []);
  });

  test('a command that fails ends the build, with its status and place', { skip }, async () => {
    await assert.rejects(
      place.build('FROM base\nRUN true\nRUN echo no; exit 7\n', {}, { tags: ['failed'] }),
      {
        code: 'FAILED_PRECONDITION',
        message: /^Dockerfile:3: RUN "echo no; exit 7" ended with status 7$/,
      },
    );
    await assert.rejects(place.build('FROM base\nRUN ["/no/such"]\n'), { code: 'NOT_FOUND' });
    await assert.rejects(place.engine.image('failed'), { code: 'NOT_FOUND' });
    assert.deepEqual(isLeft(place), []);
  });

  test('a command that cannot begin fails with its line', { skip }, async () => {
    for (const text of ['USER nobody-here\nRUN true', 'SHELL ["/no/shell"]\nRUN true'])
      await assert.rejects(place.build(`FROM base\n${text}`), { message: /^Dockerfile:3: / });
  });

  test('an abort kills the command', { skip }, async () => {
    const stop = new AbortController();
    const building = place.build(
      'FROM base\nRUN echo begun; sleep 60\n',
      {},
      {
        signal: stop.signal,
        onProgress: (event) => event.type === 'output' && stop.abort(new Error('enough')),
      },
    );
    await assert.rejects(building, /enough/);
    assert.deepEqual(isLeft(place), []);
  });

  test('stages run side by side, and the first failure stops the others', { skip }, async () => {
    const begun = performance.now();
    await assert.rejects(
      place.build(
        'FROM base AS slow\nRUN sleep 600\nFROM base AS broken\nRUN sleep 0.2; exit 3\nFROM base\nCOPY --from=slow /bin/sh /\nCOPY --from=broken /bin/sh /\n',
      ),
      { message: /status 3/ },
    );
    assert.ok(performance.now() - begun < 300_000);
    assert.deepEqual(isLeft(place), []);
  });

  test('SOURCE_DATE_EPOCH makes the same image of the same commands', { skip }, async () => {
    const text = 'FROM base\nRUN mkdir /d; echo x > /d/f; ln /d/f /d/g; touch -d @5 /d/old\n';
    const options = { noCache: true, sourceDateEpoch: 1_700_000_000 };
    const one = await place.build(text, {}, options);
    await setTimeout(1100);
    const two = await place.build(text, {}, options);
    assert.equal(one.image.id, two.image.id);
    await using tree = await place.engine.tree(one.image.id);
    assert.deepEqual(
      ['/d/f', '/d/old'].map((path) => tree.stat(path).mtime),
      [1_700_000_000, 5],
    );
  });

  test(
    'a build that was killed leaves nothing running, mounted or lying about after the next one',
    { skip },
    async () => {
      const context = await place.context({
        Dockerfile: `FROM base\nRUN echo begun; exec sleep ${7_000_000 + process.pid}\n`,
      });
      const mica = join(import.meta.dirname, '../cli/main.ts');
      const store = join(place.directory, 'store');
      const child = spawn(
        process.execPath,
        [mica, '--root', store, 'build', '--progress', 'plain', context],
        {
          stdio: ['ignore', 'pipe', 'inherit'],
        },
      );
      let heard = '';
      for await (const chunk of child.stdout) if (/\d begun\n/.test((heard += chunk))) break;
      child.kill('SIGKILL');
      await once(child, 'exit');
      const sleeping = (): boolean =>
        readdirSync('/proc').some((pid) => {
          try {
            return (
              /^\d+$/.test(pid) &&
              readFileSync(`/proc/${pid}/cmdline`, 'latin1') ===
                `sleep\x00${7_000_000 + process.pid}\x00`
            );
          } catch {
            return false;
          }
        });
      // What has said it may still be the shell.
      for (let n = 0; !sleeping() && n < 6000; n++) await setTimeout(10);
      assert.ok(sleeping());
      await place.build('FROM base\nRUN echo next\n', {}, { noCache: true });
      assert.ok(!sleeping());
      assert.deepEqual(isLeft(place), []);
    },
  );
});

for (const driver of ['vfs', 'erofs'] as const)
  test(
    `driver ${driver} makes the same layers of the same commands`,
    { skip: skip || (driver === 'erofs' && needs('erofs')) },
    async () => {
      const text = `FROM base
RUN mkdir -p /d/e; echo x > /d/f; ln /d/f /d/g; ln -s f /d/h; rm /bin/yes; chmod 700 /etc; mkfifo /p
RUN rm -r /d/e; mkdir /d/e; echo y > /d/new
`;
      const ids: string[] = [];
      for (const name of ['overlay2', driver]) {
        await using place = await shellPlace(name);
        const { image } = await place.build(text, {}, { sourceDateEpoch: 1_700_000_000 });
        ids.push(image.config.rootfs.diff_ids.slice(-2).join(' '));
      }
      assert.equal(ids[0], ids[1]);
    },
  );

test(
  'in a user namespace, without a root of the machine, commands run as well',
  { skip: skip || needs('userns') },
  async () => {
    const text = join(import.meta.dirname, 'run.test.ts');
    const pattern = 'what a command changes|mounts bring files|secrets are there|id -u';
    const { code, output } = await runInUserNamespace([
      process.execPath,
      '--test',
      `--test-name-pattern=${pattern}`,
      text,
    ]);
    assert.equal(code, 0, output);
    assert.match(output, /pass 4/);
  },
);

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { MicaError } from '../errors.ts';
import type { ContainerDefaults } from '../oci/config.ts';
import { type BuildPlace, buildPlace, type Built, treeOf } from '../testing/build.ts';
import { needs } from '../testing/need.ts';
import type { CacheAnswer } from './event.ts';

let place: BuildPlace;
before(async () => {
  place = await buildPlace();
});
after(() => place[Symbol.asyncDispose]());

const configOf = ({ image }: Built): ContainerDefaults => image.config.config!;

const PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

const CONFIGS: readonly (readonly [dockerfile: string, expected: Partial<ContainerDefaults>])[] = [
  ['', { Env: [PATH], WorkingDir: '/' }],
  [
    'ENV A=1 B=$A C="x y"|ENV A=2 D=$A-${B:-none}',
    { Env: [PATH, 'A=2', 'B=', 'C=x y', 'D=1-none'] },
  ],
  ['ENV PATH=/x:$PATH', { Env: [`PATH=/x:${PATH.slice(5)}`] }],
  ['LABEL a=1 b="2 3"|LABEL a=4', { Labels: { a: '4', b: '2 3' } }],
  ['CMD a b', { Cmd: ['/bin/sh', '-c', 'a b'] }],
  [
    'SHELL ["/bin/bash", "-c"]|CMD a|ENTRYPOINT b',
    {
      Cmd: ['/bin/bash', '-c', 'a'],
      Entrypoint: ['/bin/bash', '-c', 'b'],
      Shell: ['/bin/bash', '-c'],
    },
  ],
  ['CMD ["a"]|ENTRYPOINT ["b"]', { Cmd: ['a'], Entrypoint: ['b'] }],
  [
    'EXPOSE 80 53/udp 8000-8002',
    {
      ExposedPorts: { '53/udp': {}, '80/tcp': {}, '8000/tcp': {}, '8001/tcp': {}, '8002/tcp': {} },
    },
  ],
  ['ARG P="80 81"|EXPOSE $P', { ExposedPorts: { '80/tcp': {}, '81/tcp': {} } }],
  ['VOLUME /a /b|VOLUME ["/c d"]', { Volumes: { '/a': {}, '/b': {}, '/c d': {} } }],
  ['USER a:b|STOPSIGNAL SIGKILL', { User: 'a:b', StopSignal: 'SIGKILL' }],
  ['ARG S=rtmin+3|STOPSIGNAL $S', { StopSignal: 'rtmin+3' }],
  ['STOPSIGNAL term', { StopSignal: 'term' }],
  ['WORKDIR a|WORKDIR ../b/./c|WORKDIR d', { WorkingDir: '/b/c/d' }],
  ['ENV D=/x|WORKDIR $D', { WorkingDir: '/x' }],
  [
    'HEALTHCHECK --interval=1s CMD curl x',
    { Healthcheck: { Test: ['CMD-SHELL', 'curl x'], Interval: 1e9 } },
  ],
  ['HEALTHCHECK NONE', { Healthcheck: { Test: ['NONE'] } }],
  ['ONBUILD COPY a /|ONBUILD RUN <<E|x|E', { OnBuild: ['COPY a /', 'RUN <<E\nx\nE'] }],
];

for (const [text, expected] of CONFIGS)
  test(`${text === '' ? 'nothing' : text} makes a config as docker does`, async () => {
    const built = await place.build(`FROM scratch\n${text.replaceAll('|', '\n')}`);
    const found = configOf(built);
    assert.deepEqual({ ...found, ...expected }, found);
  });

test('a new entry point takes the command of the base with it, unless the stage has one of its own', async () => {
  const base = 'FROM scratch AS base\nENTRYPOINT ["e"]\nCMD ["c"]\n';
  const of = async (text: string): Promise<unknown> =>
    configOf(await place.build(`${base}FROM base\n${text}`)).Cmd;
  assert.deepEqual(await of('ENV a=b'), ['c']);
  assert.deepEqual(await of('ENTRYPOINT ["f"]'), undefined);
  assert.deepEqual(await of('CMD ["d"]\nENTRYPOINT ["f"]'), ['d']);
});

test('arguments have their scopes, and ENV comes before ARG', async () => {
  const dockerfile = `ARG G=global
ARG H=\${G}-more
FROM scratch AS one
ENV A="$G|$H"
ARG G
ARG H=own
ARG T
ENV B="$G|$H|$T"
ENV G=env
ARG G=ignored
ENV C=$G
FROM scratch
ARG TARGETARCH BUILDOS
ARG G
ENV D="$G|$T|$TARGETARCH|$BUILDOS|$TARGETOS"
`;
  const platform = { os: 'linux', architecture: 'arm64' };
  const one = await place.build(dockerfile, {}, { target: 'one', args: { T: 'given' } });
  assert.deepEqual(configOf(one).Env?.slice(1), ['A=|', 'B=global|own|given', 'G=env', 'C=env']);
  const last = await place.build(dockerfile, {}, { platform, args: { G: 'g', X: 'x' } });
  assert.deepEqual(configOf(last).Env?.slice(1), ['D=g||arm64|linux|']);
  assert.equal(last.image.config.architecture, 'arm64');
  const warnings = last.events.filter(({ type }) => type === 'warning');
  assert.match(JSON.stringify(warnings), /build arguments X/);
});

for (const [text, line] of [
  ['STOPSIGNAL nope', 2],
  ['COPY a /\nWORKDIR /a/x', 3],
  ['COPY a /\nCOPY a /a/x/', 3],
] as const)
  test(`${JSON.stringify(text)} fails with its line, and says it once`, async () => {
    const building = place.build(`FROM scratch\n${text}`, { a: '' });
    await assert.rejects(building, (error: Error) => {
      assert.match(error.message, new RegExp(`^Dockerfile:${line}: (?!Dockerfile)`));
      return true;
    });
  });

test('only the stages that the target needs are built', async () => {
  const dockerfile = `FROM scratch AS broken
COPY nothing /
FROM scratch AS base
COPY a /
FROM scratch AS side
COPY b /b
FROM base AS main
COPY --from=side /b /from-side
FROM scratch AS after
COPY nothing /
`;
  const built = await place.build(dockerfile, { a: 'A', b: 'B' }, { target: 'MAIN' });
  assert.deepEqual(await treeOf(place.engine, built), ['/a 644 A', '/from-side 644 B']);
  assert.deepEqual(
    new Set(built.events.flatMap((event) => (event.type === 'started' ? [event.step.stage] : []))),
    new Set(['base', 'side', 'main']),
  );
  await assert.rejects(place.build(dockerfile, {}, { target: 'none' }), { code: 'NOT_FOUND' });
});

test('images of the store are bases and sources, and their triggers are pulled', async () => {
  await place.build(
    'FROM scratch\nCOPY a /base/\nENV E=1\nONBUILD COPY b /triggered\nONBUILD ENV T=$E',
    { a: 'A' },
    { tags: ['base:1'] },
  );
  const built = await place.build(
    'ARG V=1\nFROM base:${V}\nCOPY --from=base:1 /base/a /again\nCOPY c /',
    { b: 'B', c: 'C' },
  );
  assert.deepEqual(await treeOf(place.engine, built), [
    '/again 644 A',
    '/base/ 755',
    '/base/a 644 A',
    '/c 644 C',
    '/triggered 644 B',
  ]);
  assert.deepEqual(configOf(built).Env?.slice(1), ['E=1', 'T=1']);
  assert.equal(configOf(built).OnBuild, undefined);
  assert.equal(built.image.config.history?.filter((step) => !step.empty_layer).length, 4);
});

for (const [os, advice] of [
  ['windows', 'only images for Linux are built; name an image for linux/amd64'],
  ['linux', 'build for what is here, --platform linux/s390x, or name an image for linux/amd64'],
] as const)
  test(`a base that is here for ${os} on another machine is told so, if it cannot be pulled`, async () => {
    const server = createServer((_, response) => response.writeHead(404).end());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const name = `127.0.0.1:${(server.address() as AddressInfo).port}/${os}:1`;
      await place.build('FROM scratch\nCOPY a /', { a: 'A' }, { tags: ['plain:1'] });
      const there = { os, architecture: 's390x' };
      await place.engine.mutate('plain:1', { platform: there, names: [name] });
      const platform = { os: 'linux', architecture: 'amd64' };
      const start = `Dockerfile:1: ${name} is here for ${os}/s390x only, and pulling it for linux/amd64 failed: `;
      await assert.rejects(place.build(`FROM ${name}`, {}, { platform }), (error: MicaError) => {
        assert.equal(error.code, 'NOT_FOUND');
        assert.ok(error.message.startsWith(start), error.message);
        assert.ok(error.message.endsWith(`; ${advice}`), error.message);
        return true;
      });
    } finally {
      server.close();
    }
  });

test('the history says what was done, in the words of docker', async () => {
  const { image } = await place.build(
    `FROM scratch
MAINTAINER me
ARG A=1
ENV E=$A
WORKDIR /w
COPY --chown=1:2 a b ./
EXPOSE 80
VOLUME /v
CMD ["c"]
WORKDIR /w
`,
    { a: 'A', b: 'B' },
    { sourceDateEpoch: 0, labels: { by: 'flag' } },
  );
  const history = image.config.history!;
  assert.deepEqual(
    history.map(({ created_by, empty_layer }) => [created_by, empty_layer ?? false]),
    [
      ['MAINTAINER me', true],
      ['ARG A=1', true],
      ['ENV E=1', true],
      ['WORKDIR /w', false],
      ['COPY --chown=1:2 a b ./', false],
      ['EXPOSE [80/tcp]', true],
      ['VOLUME [/v]', true],
      ['CMD ["c"]', true],
      ['WORKDIR /w', true],
    ],
  );
  assert.ok(
    history.every(({ author, created }) => author === 'me' && created === '1970-01-01T00:00:00Z'),
  );
  assert.equal(image.config.author, 'me');
  assert.deepEqual(image.config.config?.Labels, { by: 'flag' });
  assert.equal(image.layers.length, 2);
});

const DOCKERFILE = `FROM scratch AS base
ARG V=1
COPY a b dir /data/
FROM base
WORKDIR /w/x
COPY --chown=5:6 --from=base /data/a .
LABEL v=$V
ENV A=b
`;
const FILES = { a: 'A', b: 'B', 'dir/c': 'C', 'dir/d': 'D' };

test('the same inputs give the same image: in another store, of another driver, with and without a cache', async () => {
  const first = await place.build(DOCKERFILE, FILES, { sourceDateEpoch: 1000 });
  const again = await place.build(DOCKERFILE, FILES, { sourceDateEpoch: 1000, noCache: true });
  const cached = await place.build(DOCKERFILE, FILES, { sourceDateEpoch: 1000 });
  const mask = process.umask(0o077);
  try {
    await using other = await buildPlace(process.getuid?.() === 0 ? 'vfs' : 'tar');
    const context = await other.context(FILES);
    for (const name of Object.keys(FILES)) execFileSync('chmod', ['644', join(context, name)]);
    execFileSync('chmod', ['755', join(context, 'dir')]);
    const elsewhere = await other.builder.build({
      context,
      dockerfile: Buffer.from(DOCKERFILE),
      sourceDateEpoch: 1000,
    });
    for (const { image } of [again, cached, elsewhere]) {
      assert.equal(image.id, first.image.id);
      assert.equal(image.manifestDescriptor.digest, first.image.manifestDescriptor.digest);
    }
  } finally {
    process.umask(mask);
  }
});

test('without SOURCE_DATE_EPOCH, too, the same files give the same image', async () => {
  const context = await place.context(FILES);
  const dockerfile = Buffer.from(DOCKERFILE);
  const one = await place.builder.build({ context, dockerfile });
  const two = await place.builder.build({ context, dockerfile, noCache: true });
  assert.equal(one.image.id, two.image.id);
});

/** Of each step that is kept: `hit`, or why it was missed. */
const answers = ({ events }: Built): string[] =>
  events.flatMap((event) => {
    if (event.type !== 'done' || event.cache === undefined) return [];
    return [said(event.cache)];
  });

const said = (cache: CacheAnswer): string =>
  cache.hit
    ? 'hit'
    : cache.reasons
        .map((reason) => ('input' in reason ? `${reason.kind} ${reason.input}` : reason.kind))
        .join(', ');

test('a step is made again only for a reason, and the reason is told', async () => {
  await using own = await buildPlace();
  const text = 'FROM scratch\nCOPY a b /x/\nCOPY c /y\nWORKDIR /w\n';
  const files = { a: 'A', b: 'B', c: 'C' };
  assert.deepEqual(answers(await own.build(text, files)), ['new', 'new', 'new']);
  const twice = await own.build(text, files);
  assert.deepEqual(answers(twice), ['hit', 'hit', 'hit']);
  assert.deepEqual([twice.cached, twice.steps], [3, 3]);
  assert.deepEqual(answers(await own.build(text, { ...files, c: 'changed' })), [
    'hit',
    'changed /y',
    'changed the layers below',
  ]);
  assert.deepEqual(answers(await own.build(text, { ...files, b: 'changed' })), [
    'changed /x/b',
    'changed the layers below',
    'changed the layers below',
  ]);
  assert.deepEqual(answers(await own.build(text, files, { noCache: true })), [
    'unwanted',
    'unwanted',
    'unwanted',
  ]);
  const edited = text.replace('a b /x/', 'a /x/').replace('COPY c', 'COPY --chmod=600 c');
  assert.deepEqual(answers(await own.build(edited, files))[0], 'removed /x/b');
  assert.deepEqual(answers(await own.build(text, files, { sourceDateEpoch: 5 })).slice(0, 1), [
    'added SOURCE_DATE_EPOCH',
  ]);
  assert.deepEqual(answers(await own.build('# other\nFROM scratch\nCOPY a  b  /x/', files)), [
    'hit',
  ]);
});

test('a layer with --link does not depend on what is below it', async () => {
  const text = 'FROM scratch\nCOPY a /a\nCOPY --link b /deep/b\n';
  await place.build(text, { a: 'A', b: 'link-B' });
  const built = await place.build(text, { a: 'changed', b: 'link-B' });
  assert.equal(answers(built).at(-1), 'hit');
  assert.deepEqual(await treeOf(place.engine, built), [
    '/a 644 changed',
    '/deep/ 755',
    '/deep/b 644 link-B',
  ]);
});

test('the cache keeps its layers through garbage collection, until it is pruned', async () => {
  await using own = await buildPlace();
  const text = 'FROM scratch\nCOPY a /x\n';
  const built = await own.build(text, { a: 'A' }, { tags: ['t'] });
  const [layer] = built.image.manifest.layers;
  await own.engine.remove('t');
  await own.engine.gc();
  assert.equal((await own.engine.usage()).layers.length, 1);
  const hit = await own.build(text, { a: 'A' }, { tags: ['t'] });
  assert.deepEqual(answers(hit), ['hit']);
  assert.deepEqual(await treeOf(own.engine, hit), ['/x 644 A']);
  await own.engine.remove('t');
  await own.engine.prune({ all: true });
  const { blobs } = await own.engine.usage();
  assert.ok(blobs.every(({ digest }) => digest !== layer!.digest));
  assert.deepEqual(answers(await own.build(text, { a: 'A' })), ['new']);
});

test('what the cache has lost is made again', async () => {
  await using own = await buildPlace();
  const text = 'FROM scratch\nCOPY a /x\n';
  const context = await own.context({ a: 'A' });
  const { image } = await own.build(text, {}, { context });
  const blobs = join(own.directory, 'store/content/blobs/sha256');
  await rm(join(blobs, image.manifest.layers[0]!.digest.slice(7)));
  const again = await own.build(text, {}, { context });
  assert.deepEqual(answers(again), ['gone']);
  assert.equal(again.image.id, image.id);
});

test('a build that fails leaves neither a name nor a file', async () => {
  await using own = await buildPlace();
  await assert.rejects(
    own.build('FROM scratch\nCOPY a /\nCOPY nothing /', { a: 'A' }, { tags: ['t'] }),
    { code: 'NOT_FOUND' },
  );
  assert.deepEqual(await own.engine.images(), []);
  assert.deepEqual(readdirSync(join(own.directory, 'store/build')), []);
});

test('layers are compressed as is wanted, and a cached one of another kind is made again', async () => {
  const text = 'FROM scratch\nCOPY a /compressed\n';
  const context = await place.context({ a: 'A' });
  const types: string[] = [];
  for (const compression of ['gzip', 'zstd', 'none', 'none'] as const) {
    const { image } = await place.build(text, {}, { context, compression });
    types.push(image.manifest.layers[0]!.mediaType.replace(/^.*\.tar/, ''));
  }
  assert.deepEqual(types, ['+gzip', '+zstd', '', '']);
});

test('an abort ends the build with its reason', async () => {
  const stop = new AbortController();
  const reason = new Error('enough');
  const building = place.build(
    'FROM scratch\nCOPY a /\nCOPY b /',
    { a: 'A', b: 'B' },
    {
      noCache: true,
      signal: stop.signal,
      onProgress: (event) => event.type === 'done' && stop.abort(reason),
    },
  );
  await assert.rejects(building, reason);
});

test('many stages are built side by side, each waiting for what it needs', async () => {
  const stages = Array.from(
    { length: 40 },
    (_, at) =>
      `FROM scratch AS s${at}\nCOPY a /f${at}\n${at > 0 ? `COPY --from=s${at - 1} / /before/` : ''}`,
  );
  const built = await place.build(
    `${stages.join('\n')}\nFROM scratch\nCOPY --from=s39 / /\nCOPY --from=s20 /f20 /`,
    { a: 'A' },
  );
  const tree = await treeOf(place.engine, built);
  assert.ok(tree.includes('/f20 644 A'));
  assert.ok(tree.includes(`/${'before/'.repeat(39)}f0 644 A`));
});

test('other programs accept what was built', { skip: needs('skopeo', 'umoci') }, async () => {
  const layout = join(place.directory, 'layout');
  await place.build(DOCKERFILE, FILES, { tags: ['accepted:1'] });
  const content = join(place.directory, 'store/content');
  execFileSync('skopeo', [
    'copy',
    '-q',
    '--insecure-policy',
    `oci:${content}:docker.io/library/accepted:1`,
    `oci:${layout}:it`,
  ]);
  execFileSync('umoci', ['unpack', '--image', `${layout}:it`, join(place.directory, 'bundle')]);
  assert.deepEqual(readdirSync(join(place.directory, 'bundle/rootfs/data')).toSorted(), [
    'a',
    'b',
    'c',
    'd',
  ]);
  assert.deepEqual(readdirSync(join(place.directory, 'bundle/rootfs/w/x')), ['a']);
});

test('a Dockerfile that is not in the context is read from where it is', async () => {
  const path = join(place.directory, 'Elsewhere');
  await writeFile(path, 'FROM scratch\nCOPY a /\n');
  const context = await place.context({ a: 'A' });
  const built = await place.builder.build({ context, dockerfile: path });
  assert.equal(built.image.layers.length, 1);
  await assert.rejects(place.builder.build({ context }), { code: 'NOT_FOUND' });
  await assert.rejects(place.builder.build({ context: `${context}/none` }), { code: 'NOT_FOUND' });
  await assert.rejects(place.builder.build({ context, dockerfile: place.directory }), {
    code: 'FAILED_PRECONDITION',
    message: `${place.directory} is a directory; name the file in it with -f`,
  });
});

test('named contexts come before stages and images, wherever --from and FROM name them', async () => {
  const more = await place.context({ 'a.txt': 'more', '.dockerignore': 'b.txt', 'b.txt': 'B' });
  const { image } = await place.build(
    'FROM scratch\nCOPY a /from-image\n',
    { a: 'A' },
    { tags: ['ctx'] },
  );
  const text = `FROM nowhere AS one
COPY --from=More . /more/
COPY --from=stage /from-image /copied
FROM scratch AS stage
COPY a.txt /
FROM one
`;
  const contexts = {
    nowhere: { image: 'ctx' },
    more: { directory: more },
    stage: { image: image.id },
  };
  const built = await place.build(text, { 'a.txt': 'A' }, { contexts });
  const tree = await treeOf(place.engine, built);
  assert.deepEqual(
    tree.map((line) => line.split(' ')[0]),
    ['/copied', '/from-image', '/more/', '/more/.dockerignore', '/more/a.txt'],
  );
  await writeFile(join(more, 'a.txt'), 'changed');
  const again = await treeOf(place.engine, await place.build(text, {}, { contexts }));
  assert.ok(again.includes('/more/a.txt 644 changed'));
});

test('a named context that is a directory is no base, and one that is not there is told', async () => {
  const directory = await place.context({});
  const wrong = { code: 'INVALID_ARGUMENT', message: /the context "here" is a directory/ };
  await assert.rejects(
    place.build('FROM here\n', {}, { contexts: { here: { directory } } }),
    wrong,
  );
  const gone = { here: { directory: join(directory, 'gone') } };
  await assert.rejects(
    place.build('FROM scratch\nCOPY --from=here a /\n', {}, { contexts: gone }),
    {
      code: 'NOT_FOUND',
    },
  );
});

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmod, link, mkdir, symlink, utimes, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { sha256 } from '../oci/digest.ts';
import { type BuildPlace, buildPlace, type ContextFiles, treeOf } from '../testing/build.ts';
import { needs } from '../testing/need.ts';
import * as t from '../testing/tree.ts';

let place: BuildPlace;
before(async () => {
  place = await buildPlace();
});
after(() => place[Symbol.asyncDispose]());

const FILES: ContextFiles = {
  'a.txt': 'A',
  'b.txt': 'B',
  'dir/c.txt': 'C',
  'dir/sub/d.md': 'D',
  'dir/sub/deep/e.txt': 'E',
  'to-a': { link: 'a.txt' },
  'to-dir': { link: 'dir' },
};

/** What the image then has. `|` ends a line of the Dockerfile. */
const COPIES: readonly (readonly [dockerfile: string, expected: readonly string[]])[] = [
  ['COPY a.txt /', ['/a.txt 644 A']],
  ['COPY a.txt /x', ['/x 644 A']],
  ['COPY a.txt /x/', ['/x/ 755', '/x/a.txt 644 A']],
  ['COPY a.txt b.txt ./', ['/a.txt 644 A', '/b.txt 644 B']],
  ['WORKDIR /w/v|COPY a.txt x', ['/w/ 755', '/w/v/ 755', '/w/v/x 644 A']],
  ['WORKDIR /w|WORKDIR v|COPY a.txt ../', ['/w/ 755', '/w/a.txt 644 A', '/w/v/ 755']],
  ['COPY *.txt /x/', ['/x/ 755', '/x/a.txt 644 A', '/x/b.txt 644 B']],
  ['COPY [ab].txt nothing* /x/', ['/x/ 755', '/x/a.txt 644 A', '/x/b.txt 644 B']],
  ['COPY dir/sub /x', ['/x/ 755', '/x/d.md 644 D', '/x/deep/ 755', '/x/deep/e.txt 644 E']],
  ['COPY dir/sub/ /x/', ['/x/ 755', '/x/d.md 644 D', '/x/deep/ 755', '/x/deep/e.txt 644 E']],
  ['COPY dir/s* /x/', ['/x/ 755', '/x/d.md 644 D', '/x/deep/ 755', '/x/deep/e.txt 644 E']],
  ['COPY to-a /x/', ['/x/ 755', '/x/to-a 644 A']],
  ['COPY to-dir/c.txt /', ['/c.txt 644 C']],
  ['COPY a.txt /x|COPY b.txt /x', ['/x 644 B']],
  ['COPY dir/sub/deep /x|COPY a.txt /x', ['/x/ 755', '/x/a.txt 644 A', '/x/e.txt 644 E']],
  ['COPY --chown=7:8 a.txt /x/', ['/x/ 755 7:8', '/x/a.txt 644 7:8 A']],
  ['COPY --chmod=4755 a.txt /x', ['/x 4755 A']],
  ['COPY --chmod=u=rwx,go-r+X a.txt /x', ['/x 711 A']],
  ['COPY --chmod=a-x,u+X dir/sub/deep /x', ['/x/ 744', '/x/e.txt 644 E']],
  [
    'COPY <<etc/passwd <<etc/group /etc/|bob:x:7:9:::|etc/passwd|staff:x:50:|etc/group|COPY --chown=bob a.txt /x|COPY --chown=bob:staff a.txt /y',
    [
      '/etc/ 755',
      '/etc/group 644 staff:x:50:\n',
      '/etc/passwd 644 bob:x:7:9:::\n',
      '/x 644 7:9 A',
      '/y 644 7:50 A',
    ],
  ],
  [
    'COPY --exclude=*.txt dir /x',
    ['/x/ 755', '/x/sub/ 755', '/x/sub/d.md 644 D', '/x/sub/deep/ 755', '/x/sub/deep/e.txt 644 E'],
  ],
  [
    'COPY --exclude=**/*.txt --exclude=**/deep dir /x',
    ['/x/ 755', '/x/sub/ 755', '/x/sub/d.md 644 D'],
  ],
  ['COPY --exclude=b* *.txt /x/', ['/x/ 755', '/x/a.txt 644 A']],
  [
    'COPY --parents dir/sub/d.md /x/',
    ['/x/ 755', '/x/dir/ 755', '/x/dir/sub/ 755', '/x/dir/sub/d.md 644 D'],
  ],
  ['COPY --parents dir/./sub/*.md /x/', ['/x/ 755', '/x/sub/ 755', '/x/sub/d.md 644 D']],
  [
    'COPY --parents dir/./**/*.txt /x/',
    ['/x/ 755', '/x/c.txt 644 C', '/x/sub/ 755', '/x/sub/deep/ 755', '/x/sub/deep/e.txt 644 E'],
  ],
  [
    'ARG V=y|COPY <<a <<"b" /x/|${V}z \\$V|a|$V|b',
    ['/x/ 755', '/x/a 644 yz $V\n', '/x/b 644 $V\n'],
  ],
  ['ARG N=a|ENV D=/q|COPY $N.txt ${D}/', ['/q/ 755', '/q/a.txt 644 A']],
  ['COPY --link a.txt /x/', ['/x/ 755', '/x/a.txt 644 A']],
  ['ARG to=/x/|COPY a.txt dir/c.txt $to', ['/x/ 755', '/x/a.txt 644 A', '/x/c.txt 644 C']],
  ['ADD a.txt dir/sub/deep /x/', ['/x/ 755', '/x/a.txt 644 A', '/x/e.txt 644 E']],
];

const dockerfile = (text: string): string => `FROM scratch\n${text.replaceAll('|', '\n')}\n`;

for (const [text, expected] of COPIES)
  test(`${text} copies as docker does`, async () => {
    const built = await place.build(dockerfile(text), FILES);
    assert.deepEqual(await treeOf(place.engine, built), expected);
  });

const REFUSED: readonly (readonly [
  dockerfile: string,
  code: string,
  line: number,
  what: RegExp,
])[] = [
  ['COPY nothing /', 'NOT_FOUND', 2, /has no "nothing"/],
  ['COPY ../a.txt /', 'INVALID_ARGUMENT', 2, /leads out/],
  ['COPY dir/../../a.txt /', 'INVALID_ARGUMENT', 2, /leads out/],
  [`WORKDIR /${'a/'.repeat(20_000)}`, 'INVALID_ARGUMENT', 2, /4094 are the most/],
  [`COPY a.txt /${'a/'.repeat(20_000)}`, 'INVALID_ARGUMENT', 2, /4094 are the most/],
  ['ARG to=/x|COPY a.txt dir/c.txt $to', 'INVALID_ARGUMENT', 3, /"\/x" must end with a slash/],
  ['COPY *.txt /x', 'INVALID_ARGUMENT', 2, /must end with a slash/],
  [
    'COPY dir /x|COPY a.txt /y|COPY --link dir /x|COPY dir /y',
    'FAILED_PRECONDITION',
    5,
    /not a directory/,
  ],
  [
    'COPY dir /|COPY a.txt /x/sub|COPY dir/sub /x|COPY dir /x',
    'FAILED_PRECONDITION',
    5,
    /cannot be replaced/,
  ],
  ['COPY --chown=nobody a.txt /', 'INVALID_ARGUMENT', 2, /etc\/passwd/],
  ['COPY --chmod=9 a.txt /', 'INVALID_ARGUMENT', 2, /--chmod/],
  ['COPY --from=later a.txt /|FROM scratch as later', 'INVALID_ARGUMENT', 2, /later/],
  ['COPY <<.wh.a /|x|.wh.a', 'INVALID_ARGUMENT', 2, /deleted/],
  ['ADD https://example.com/x.git /', 'NOT_IMPLEMENTED', 2, /git/],
  ['ADD --checksum=sha256:00 a.txt /', 'INVALID_ARGUMENT', 2, /--checksum/],
  ['RUN x', 'NOT_IMPLEMENTED', 2, /driver/],
];

for (const [text, code, line, what] of REFUSED)
  test(`${text.slice(0, 100)} is refused, with the place`, async () => {
    await assert.rejects(
      place.build(dockerfile(text), FILES),
      (error: Error & { code: string }) => {
        assert.equal(error.code, code, error.message);
        assert.match(error.message, new RegExp(`^Dockerfile:${line}: `));
        assert.match(error.message, what);
        return true;
      },
    );
  });

test('files of other stages and links in the image are found where a container finds them', async () => {
  const built = await place.build(
    dockerfile(
      'COPY usr /usr|COPY bin /tree/|FROM scratch AS two|COPY --from=0 /usr/bin/ /usr/bin/|COPY --from=0 /tree /|COPY a.txt /bin/|COPY a.txt b.txt /linked/',
    ),
    {
      'usr/bin/tool': 'T',
      'bin/bin': { link: 'usr/bin' },
      'bin/linked': { link: '/usr/./bin/../bin' },
      'a.txt': 'A',
      'b.txt': 'B',
    },
  );
  assert.deepEqual(await treeOf(place.engine, built), [
    '/bin@ 777 usr/bin',
    '/linked@ 777 /usr/./bin/../bin',
    '/usr/ 755',
    '/usr/bin/ 755',
    '/usr/bin/a.txt 644 A',
    '/usr/bin/b.txt 644 B',
    '/usr/bin/tool 644 T',
  ]);
});

test('links never lead out of the context, and none is followed below a directory', async () => {
  const files: ContextFiles = {
    'in/absolute': { link: '/etc/passwd' },
    'in/up': { link: '../../../../../../etc/passwd' },
    'etc/passwd': 'ours',
    'loop-a': { link: 'loop-b' },
    'loop-b': { link: 'loop-a' },
  };
  const built = await place.build(dockerfile('COPY in/absolute in/up /x/|COPY in /y/'), files);
  assert.deepEqual(await treeOf(place.engine, built), [
    '/x/ 755',
    '/x/absolute 644 ours',
    '/x/up 644 ours',
    '/y/ 755',
    '/y/absolute@ 777 /etc/passwd',
    '/y/up@ 777 ../../../../../../etc/passwd',
  ]);
  await assert.rejects(place.build(dockerfile('COPY loop-a /'), files), {
    code: 'FAILED_PRECONDITION',
  });
});

test('links of the image never lead out of it', async () => {
  const built = await place.build(
    dockerfile('COPY links /|COPY a.txt /away/x|COPY a.txt /up/y|COPY a.txt /dangling'),
    {
      'a.txt': 'A',
      'links/away': { link: '/tmp/mica-nobody' },
      'links/up': { link: '../../../../tmp' },
      'links/dangling': { link: '../../made' },
    },
  );
  const tree = await treeOf(place.engine, built);
  assert.ok(tree.includes('/tmp/mica-nobody/x 644 A'));
  assert.ok(tree.includes('/tmp/y 644 A'));
  assert.ok(tree.includes('/made 644 A'));
});

test('.dockerignore leaves out, takes back, and has a version for each Dockerfile', async () => {
  const files = {
    ...FILES,
    '.dockerignore': 'dir\n!dir/sub/deep\n**/*.md\nb.txt',
    Dockerfile: 'FROM scratch\nCOPY . /\n',
    'other/D': 'FROM scratch\nCOPY . /\n',
    'other/D.dockerignore': '*\n!a.txt',
  };
  const context = await place.context(files);
  const built = await place.builder.build({ context });
  const names = (lines: string[]): string[] => lines.map((line) => line.split(' ')[0]!);
  assert.deepEqual(names(await treeOf(place.engine, built)), [
    '/.dockerignore',
    '/Dockerfile',
    '/a.txt',
    '/dir/',
    '/dir/sub/',
    '/dir/sub/deep/',
    '/dir/sub/deep/e.txt',
    '/other/',
    '/other/D',
    '/other/D.dockerignore',
    '/to-a@',
    '/to-dir@',
  ]);
  const other = await place.builder.build({ context, dockerfile: 'other/D' });
  assert.deepEqual(names(await treeOf(place.engine, other)), ['/a.txt']);
  await assert.rejects(
    place.builder.build({ context, dockerfile: Buffer.from('FROM scratch\nCOPY b.txt /') }),
    { code: 'NOT_FOUND' },
  );
});

test(
  'pipes and devices of the context are copied as such, unopened; hard links stay; sockets stay away',
  { skip: needs('linux') },
  async () => {
    const context = await place.context({ 'd/a': 'A' });
    execFileSync('mkfifo', [join(context, 'd/pipe')]);
    await link(join(context, 'd/a'), join(context, 'd/b'));
    const server = createServer().listen(join(context, 'd/socket'));
    await new Promise((resolve) => server.once('listening', resolve));
    try {
      const dockerfileBytes = Buffer.from('FROM scratch\nCOPY d /x');
      const built = await place.builder.build({ context, dockerfile: dockerfileBytes });
      assert.deepEqual(await treeOf(place.engine, built), [
        '/x/ 755',
        '/x/a 644 A',
        '/x/b 644 A',
        '/x/pipefifo 644',
      ]);
      await using tree = await place.engine.tree(built.image.id);
      assert.equal(tree.lstat('/x/a').ino, tree.lstat('/x/b').ino);
    } finally {
      server.close();
    }
  },
);

const ARCHIVE = t.tarOf(
  t.tree({
    'in/file': t.file('content', { uid: 5, gid: 6, mode: 0o4755 }),
    'in/same': t.hardlink('in/file'),
    '../../escape': t.file('out'),
    'in/link': t.link('/etc'),
    'in/link/through': t.file('inside'),
  }),
);

for (const program of ['xz', 'bzip2'] as const)
  test(`ADD unpacks archives compressed with ${program}`, { skip: needs(program) }, async () => {
    const context = await place.context({ 'a.cut': '' });
    const packed = execFileSync(program, ['-c'], { input: ARCHIVE });
    await writeFile(join(context, 'a.packed'), packed);
    const build = async (line: string): Promise<string[]> =>
      await treeOf(
        place.engine,
        await place.builder.build({ context, dockerfile: Buffer.from(dockerfile(line)) }),
      );
    assert.ok((await build('ADD a.packed /x')).includes('/x/in/file 4755 5:6 content'));
    // As what is no archive inside: it is a file.
    await writeFile(join(context, 'a.cut'), packed.subarray(0, 20));
    assert.deepEqual(
      (await build('ADD a.cut /')).map((one) => one.split(' ')[0]),
      ['/a.cut'],
    );
  });

test('ADD unpacks archives of the context, by their content; COPY does not', async () => {
  const context = await place.context({ 'plain.gz.txt': 'text', 'not-tar.gz': '' });
  await writeFile(join(context, 'a.tar'), ARCHIVE);
  await writeFile(join(context, 'a.tgz'), gzipSync(ARCHIVE));
  await writeFile(join(context, 'a.anything'), zstdCompressSync(ARCHIVE));
  await writeFile(join(context, 'text.gz'), gzipSync('no archive'));
  const expected = [
    '/x/ 755',
    '/x/escape 644 out',
    '/x/etc/ 755',
    '/x/etc/through 644 inside',
    '/x/in/ 755',
    '/x/in/file 4755 5:6 content',
    '/x/in/link@ 777 /etc',
    '/x/in/same 4755 5:6 content',
  ];
  const add = async (line: string): Promise<string[]> =>
    await treeOf(
      place.engine,
      await place.builder.build({ context, dockerfile: Buffer.from(dockerfile(line)) }),
    );
  for (const name of ['a.tar', 'a.tgz', 'a.anything'])
    assert.deepEqual(await add(`ADD ${name} /x`), expected, name);
  assert.equal((await add('ADD --chown=1 a.tar /x')).includes('/x/in/file 4755 1:1 content'), true);
  const kept = async (line: string): Promise<string[]> =>
    (await add(line)).map((one) => one.split(' ')[0]!);
  assert.deepEqual(await kept('ADD text.gz /'), ['/text.gz']);
  assert.deepEqual(await kept('ADD --unpack=false a.tgz /'), ['/a.tgz']);
  assert.deepEqual(await kept('COPY a.tgz /'), ['/a.tgz']);
  await writeFile(join(context, 'marks.tar'), t.tarOf(t.tree({ 'd/.wh.x': t.file('') })));
  await assert.rejects(add('ADD marks.tar /'), { code: 'INVALID_ARGUMENT' });
  await writeFile(join(context, 'cut.tar'), ARCHIVE.subarray(0, 700));
  await assert.rejects(
    add('ADD cut.tar /'),
    (error: Error & { code?: string }) => error.code !== undefined,
  );
});

test('ADD downloads, follows, checks, and takes the age from the server', async () => {
  const body = Buffer.from('from afar');
  const server = createServer((request, response) => {
    if (request.url === '/moved/file.txt') response.writeHead(302, { location: '/file.txt' }).end();
    else if (request.url?.startsWith('/file.txt'))
      response.writeHead(200, { 'last-modified': 'Sun, 13 Sep 2020 12:26:40 GMT' }).end(body);
    else if (request.url === '/a.tar') response.writeHead(200).end(ARCHIVE);
    else response.writeHead(404).end();
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  try {
    const built = await place.build(
      dockerfile(
        `ADD ${url}/file.txt?x=1 /d/|ADD --checksum=${sha256(body)} --chmod=644 ${url}/moved/file.txt /e|ADD ${url}/a.tar /f`,
      ),
    );
    const tree = await treeOf(place.engine, built);
    assert.deepEqual(tree.slice(0, 3), [
      '/d/ 755',
      '/d/file.txt 600 from afar',
      '/e 644 from afar',
    ]);
    assert.match(tree[3]!, /^\/f 600 /);
    await using files = await place.engine.tree(built.image.id);
    assert.equal(files.stat('/d/file.txt').mtime, 1_600_000_000);
    await assert.rejects(
      place.build(dockerfile(`ADD --checksum=sha256:${'0'.repeat(64)} ${url}/file.txt /`)),
      { code: 'DATA_LOSS' },
    );
    await assert.rejects(place.build(dockerfile(`ADD ${url}/nothing /`)), { code: 'NOT_FOUND' });
    await assert.rejects(place.build(dockerfile(`ADD ${url}/ /x/`)), { code: 'INVALID_ARGUMENT' });
  } finally {
    server.close();
  }
});

test('a context may come as an archive, compressed or not, whatever its names; or as a Dockerfile', async () => {
  const archive = t.tarOf(
    t.tree({
      Dockerfile: t.file('FROM scratch\nCOPY . /x/\n'),
      '.dockerignore': t.file('no'),
      no: t.file('no'),
      f: t.file('F', { uid: 1000, gid: 1000 }),
      '/abs': t.file('abs'),
      '../up': t.file('up'),
    }),
  );
  for (const bytes of [archive, gzipSync(archive)]) {
    const built = await place.builder.build({ context: chunksOf(bytes) });
    const tree = await treeOf(place.engine, built);
    assert.deepEqual(
      tree.filter((line) => !line.includes('ocker')),
      ['/x/ 755', '/x/abs 644 abs', '/x/f 644 F', '/x/up 644 up'],
    );
  }
  const alone = await place.builder.build({
    context: chunksOf(Buffer.from('FROM scratch\nCOPY <<a /\nx\na\n')),
  });
  assert.deepEqual(await treeOf(place.engine, alone), ['/a 644 x\n']);
});

async function* chunksOf(bytes: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += 100) yield bytes.subarray(at, at + 100);
}

test('times are kept, made directories are as old as what is in them, and SOURCE_DATE_EPOCH cuts off', async () => {
  const context = await place.context({ 'd/old': 'x', 'd/new': 'y' });
  await chmod(join(context, 'd/new'), 0o600);
  await utimes(join(context, 'd/old'), 1_000, 1_000);
  await utimes(join(context, 'd/new'), 2_000_000, 2_000_000.25);
  const dockerfileBytes = Buffer.from('FROM scratch\nCOPY d/old d/new /a/b/');
  const times = async (options: object): Promise<(string | number | undefined)[]> => {
    const { image } = await place.builder.build({
      context,
      dockerfile: dockerfileBytes,
      ...options,
    });
    await using tree = await place.engine.tree(image.id);
    const at = ['/a', '/a/b', '/a/b/new', '/a/b/old'].map((path) => tree.stat(path).mtime);
    return [...at, image.config.created];
  };
  assert.deepEqual(await times({}), [2e6, 2e6, 2e6, 1000, '1970-01-24T03:33:20Z']);
  assert.deepEqual(await times({ sourceDateEpoch: 5000 }), [
    5000,
    5000,
    5000,
    1000,
    '1970-01-01T01:23:20Z',
  ]);
  assert.deepEqual(await times({ args: { SOURCE_DATE_EPOCH: '500' } }), [
    500,
    500,
    500,
    500,
    '1970-01-01T00:08:20Z',
  ]);
});

test(
  'deep directories, long names and names that are not UTF-8 are copied',
  { skip: needs('linux') },
  async () => {
    const context = await place.context({});
    const deep = Array.from({ length: 60 }, (_, at) => `directory-${at}`).join('/');
    await mkdir(join(context, deep), { recursive: true });
    await writeFile(join(context, deep, 'x'.repeat(255)), 'deep');
    await writeFile(Buffer.from(`${context}/\xff\xfe`, 'latin1'), 'bytes');
    await symlink(Buffer.from('\xff\xfe', 'latin1'), join(context, 'to-bytes'));
    const { image } = await place.builder.build({
      context,
      dockerfile: Buffer.from('FROM scratch\nCOPY . /'),
    });
    await using tree = await place.engine.tree(image.id);
    assert.equal((await tree.readFile(`/${deep}/${'x'.repeat(255)}`)).toString(), 'deep');
    assert.equal((await tree.readFile(Buffer.from('/\xff\xfe', 'latin1'))).toString(), 'bytes');
    assert.equal((await tree.readFile('/to-bytes')).toString(), 'bytes');
  },
);

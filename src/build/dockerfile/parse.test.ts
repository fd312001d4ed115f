import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Copy, Instruction } from './instruction.ts';
import { parseDockerfile } from './parse.ts';

const parse = (text: string): ReturnType<typeof parseDockerfile> =>
  parseDockerfile(Buffer.from(text), 'Dockerfile');

/** The only instruction after `FROM scratch`, without where it stands. */
function one(text: string): Omit<Instruction, 'line' | 'source'> {
  const [first, ...more] = parse(`FROM scratch\n${text}`).stages[0]!.instructions;
  assert.deepEqual(more, []);
  const { line: _, source: __, ...rest } = first!;
  return rest;
}

const shell = (text: string): object => ({ shell: true, text });
const exec = (...words: string[]): object => ({ shell: false, words });

const INSTRUCTIONS: readonly (readonly [text: string, expected: object])[] = [
  ['RUN echo  a \\\n  b', { form: shell('echo  a   b') }],
  ['RUN a \\\n# comment\n\n   # another\n  && b', { form: shell('a   && b') }],
  ['RUN a \\ \t\n b', { form: shell('a  b') }],
  ['RUN a \\\\\n', { form: shell('a \\\\') }],
  ['run ["a", "b c"]', { form: exec('a', 'b c') }],
  ['RUN ["a", "b"', { form: shell('["a", "b"') }],
  [
    'RUN --network=none --mount=type=cache,target=/x a',
    { network: 'none', mounts: ['type=cache,target=/x'] },
  ],
  ['RUN --mount="type=bind,target=/a b" x', { mounts: ['type=bind,target=/a b'] }],
  ['CMD []', { kind: 'cmd', form: exec() }],
  ['CMD echo "a"', { form: shell('echo "a"') }],
  ['ENTRYPOINT ["/x"]', { kind: 'entrypoint', form: exec('/x') }],
  ['ENV A=1 B="x y" C=a\\ b', { pairs: [pair('A', '1'), pair('B', '"x y"'), pair('C', 'a\\ b')] }],
  ['ENV A all of  this', { pairs: [pair('A', 'all of  this')] }],
  ['LABEL "a b"=c \\\n  d=e', { pairs: [pair('"a b"', 'c'), pair('d', 'e')] }],
  ['ARG A B=1 C=', { args: [{ name: 'A', value: undefined }, pair('B', '1'), pair('C', '')] }],
  ['EXPOSE 80 443/tcp', { words: ['80', '443/tcp'] }],
  ['VOLUME ["/a", "/b"]', { words: ['/a', '/b'] }],
  ['VOLUME /a /b', { words: ['/a', '/b'] }],
  ['WORKDIR /a b', { word: '/a b' }],
  ['SHELL ["/bin/bash", "-c"]', { words: ['/bin/bash', '-c'] }],
  ['MAINTAINER A B <a@b>', { kind: 'maintainer', word: 'A B <a@b>' }],
  ['ONBUILD COPY a b', { trigger: 'COPY a b' }],
  ['HEALTHCHECK NONE', { form: 'none' }],
  [
    'HEALTHCHECK --interval=1m30s --timeout=500ms --retries=3 CMD curl x',
    {
      form: shell('curl x'),
      health: {
        interval: 90e9,
        timeout: 0.5e9,
        startPeriod: undefined,
        startInterval: undefined,
        retries: 3,
      },
    },
  ],
  ['COPY a b /c/', { sources: ['a', 'b'], target: '/c/' }],
  ['COPY ["a b", "/c d/"]', { sources: ['a b'], target: '/c d/' }],
  [
    'COPY --from=x --chown=1:2 --chmod=0755 --link --parents --exclude=*.o --exclude=y a /b',
    { from: 'x', chown: '1:2', chmod: '0755', link: true, parents: true, exclude: ['*.o', 'y'] },
  ],
  [
    'ADD --checksum=sha256:00 --unpack=false http://x/y /z',
    { checksum: 'sha256:00', unpack: false },
  ],
  [
    'COPY <<a.txt <<"b" c /d/\nx $y\na.txt\nz $w\nb\n',
    {
      sources: ['c'],
      heredocs: [
        { name: 'a.txt', content: 'x $y\n', expands: true },
        { name: 'b', content: 'z $w\n', expands: false },
      ],
    },
  ],
  [
    'RUN <<-EOT bash\n\t\tif x; then\n\t  y\n\tEOT',
    { heredocs: [{ name: 'EOT', content: 'if x; then\n  y\n', expands: true }] },
  ],
  ['RUN echo $((1 << 2)) <<<x', { heredocs: [] }],
  ['RUN cat <<A 2<<B\na\nA\nb\nB', { heredocs: [doc('A', 'a\n'), doc('B', 'b\n')] }],
];

function pair(name: string, value: string): object {
  return { name, value };
}
function doc(name: string, content: string): object {
  return { name, content, expands: true };
}

for (const [text, expected] of INSTRUCTIONS)
  test(`reads ${JSON.stringify(text)}`, () => {
    const found = one(text);
    assert.deepEqual({ ...found, ...expected }, found);
  });

test('stages have numbers and names, and arguments before them are global', () => {
  const { stages, globals } = parse(
    'ARG V=1\nFROM --platform=linux/arm64 a:$V AS Base\nRUN x\nFROM base\nFROM scratch as c\n',
  );
  assert.deepEqual(
    stages.map(({ index, name, from }) => [index, name, from.image, from.platform, from.line]),
    [
      [0, 'base', 'a:$V', 'linux/arm64', 2],
      [1, undefined, 'base', undefined, 4],
      [2, 'c', 'scratch', undefined, 5],
    ],
  );
  assert.deepEqual(globals[0]!.args, [{ name: 'V', value: '1' }]);
});

test('directives stand at the top: another escape makes backslashes plain', () => {
  const { stages, escape } = parse(
    '# syntax=docker/dockerfile:1\n# escape=`\n# check=skip=all\nFROM scratch\nCOPY a c:\\ `\n',
  );
  assert.equal(escape, '`');
  assert.equal((stages[0]!.instructions[0] as Copy).target, 'c:\\');
  assert.equal(parse('# hi\n# escape=`\nFROM a').escape, '\\');
});

test('carriage returns and a byte order mark are not part of the text', () => {
  const { stages } = parse('\ufeffFROM a\r\nRUN b \\\r\n c\r\n');
  assert.deepEqual(stages[0]!.instructions[0]!.source, 'RUN b  c');
});

const WRONG: readonly (readonly [text: string, line: number, what: RegExp])[] = [
  ['', 1, /no FROM/],
  ['RUN x', 1, /before the first FROM/],
  ['FROM a\nRUNN x', 2, /RUNN.*RUN meant/],
  ['FROM a\n\n# c\nCPOY a b', 4, /CPOY.*COPY meant/],
  ['FROM a\nconstructor x', 2, /CONSTRUCTOR/],
  ['FROM', 1, /wants IMAGE/],
  ['FROM a AS', 1, /wants IMAGE/],
  ['FROM a as 1x', 1, /cannot name a stage/],
  ['FROM a AS x\nFROM b AS X', 2, /a stage x already/],
  ['FROM --plat=x a', 1, /no flag --plat/],
  ['FROM a\nCOPY a', 2, /source and a destination/],
  ['FROM a\nCOPY a b c', 2, /must end with a slash/],
  ['FROM a\nCOPY --bogus a b', 2, /no flag --bogus/],
  ['FROM a\nCOPY --link=maybe a b', 2, /neither true nor false/],
  ['FROM a\nCOPY --chown=1 --chown=2 a b', 2, /twice/],
  ['FROM a\nCOPY --from=$x a b', 2, /variables are not replaced/],
  ['FROM a\nCOPY <<A /b\nx', 2, /no line A/],
  ['FROM a\nRUN', 2, /wants a command/],
  ['FROM a\nRUN []', 2, /wants a command/],
  ['FROM a\nRUN [1]', 2, /other things than strings/],
  ['FROM a\nRUN --network=web x', 2, /none or host/],
  ['FROM a\nENV', 2, /NAME=VALUE/],
  ['FROM a\nENV A', 2, /no value/],
  ['FROM a\nENV A=1 B', 2, /must be quoted/],
  ['FROM a\nARG 1=2', 2, /cannot name an argument/],
  ['FROM a\nSHELL bash', 2, /JSON list/],
  ['FROM a\nONBUILD ONBUILD RUN x', 2, /not allowed/],
  ['FROM a\nONBUILD NOPE', 2, /no instruction/],
  ['FROM a\nHEALTHCHECK curl', 2, /CMD or NONE/],
  ['FROM a\nHEALTHCHECK --interval=x CMD y', 2, /not a duration/],
  ['FROM a\nHEALTHCHECK --interval=1us CMD y', 2, /shorter/],
  ['# escape=x\nFROM a', 1, /escape character/],
  ['# escape=`\n# escape=`\nFROM a', 2, /twice/],
];

for (const [text, line, what] of WRONG)
  test(`refuses ${JSON.stringify(text)}, and says where`, () => {
    assert.throws(
      () => parse(text),
      (error: Error & { code: string }) => {
        assert.equal(error.code, 'INVALID_ARGUMENT');
        assert.match(error.message, new RegExp(`^Dockerfile:${line}: `));
        assert.match(error.message, what);
        return true;
      },
    );
  });

for (const text of [
  '# syntax=example.com/other\nFROM a',
  'FROM a\nRUN --security=insecure x',
  'FROM a\nADD --keep-git-dir=true https://x/y.git /z',
])
  test(`says of ${JSON.stringify(text)} that it is not offered`, () => {
    assert.throws(() => parse(text), { code: 'NOT_IMPLEMENTED' });
  });

test('ten megabytes are read in time proportional to them, and more is refused', () => {
  const start = process.cpuUsage();
  const long = (line: string): string => line.repeat(Math.floor((10 << 20) / line.length));
  for (const text of [
    `FROM a\nRUN x ${long('\\\n y')}\n`,
    `FROM a\n${long('# comment\n\n')}`,
    `FROM a\nRUN <<E\n${long('x\n')}E\n`,
    `FROM a\nCOPY ${long('--exclude=x ')}a b`,
    `FROM a\nRUN ${long(' \\')}`,
    `FROM a\nENV ${long('A="b c" ')}`,
  ])
    parse(text);
  assert.ok(process.cpuUsage(start).user < 30_000_000);
  assert.throws(() => parse(`FROM a\n${'#'.repeat(17 << 20)}`), { code: 'RESOURCE_EXHAUSTED' });
  assert.throws(() => parse(`FROM a\n${long('ENV A=b\n')}`), { code: 'INVALID_ARGUMENT' });
});

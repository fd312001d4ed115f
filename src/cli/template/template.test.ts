import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileTemplate } from './template.ts';
import { Duration, NIL_LIST, NIL_MAP, Struct, type Value } from './value.ts';

// What docker 26.1.5 printed for `docker image inspect --format TEMPLATE` of images with these fields.

const EMPTY = new Struct({});

const FULL = new Struct({
  Id: 'sha256:0123456789abcdef',
  RepoTags: ['app:latest'],
  Parent: '',
  Comment: 'a comment',
  Created: '2024-02-03T04:05:06.123456789Z',
  Container: '',
  Author: 'Some <one@x.org>',
  Config: new Struct({
    User: '1000:1000',
    Env: ['PATH=/bin', 'A=b c'],
    Cmd: ['echo "<&>" \u2028 é'],
    Tty: false,
    ExposedPorts: new Map<string, Value>([
      ['80/tcp', EMPTY],
      ['53/udp', EMPTY],
    ]),
    Healthcheck: new Struct(
      {
        Test: ['CMD', 'x'],
        Interval: new Duration(30_000_000_000),
        Timeout: new Duration(1_000_000_000),
        StartPeriod: new Duration(5),
        StartInterval: new Duration(0),
        Retries: 3,
      },
      { omitEmpty: ['StartInterval'] },
    ),
    MacAddress: '',
    Volumes: new Map<string, Value>([
      ['/data', EMPTY],
      ['/b', EMPTY],
    ]),
    Entrypoint: ['/bin/sh', '-c'],
    OnBuild: ['RUN x'],
    Labels: new Map([
      ['z.y', '1'],
      ['a.b', '<x> & "q"\n'],
      ['m', ''],
    ]),
    StopTimeout: 5,
    Shell: ['/bin/bash', '-c'],
  }),
  Architecture: 'amd64',
  Variant: 'v2',
  Os: 'linux',
  OsVersion: '',
  Size: 30,
  VirtualSize: 0,
  RootFS: new Struct({ Type: 'layers', Layers: ['sha256:aa', 'sha256:bb'] }),
});

const NIL = new Struct({
  Variant: '',
  OsVersion: '',
  Config: new Struct({
    Env: NIL_LIST,
    Entrypoint: NIL_LIST,
    Labels: NIL_MAP,
    ExposedPorts: NIL_MAP,
    Healthcheck: null,
    StopSignal: '',
    StopTimeout: null,
    MacAddress: '',
    Shell: NIL_LIST,
  }),
});

const BARE = new Struct({ Created: '', Config: null });

const PRINTED: readonly (readonly [template: string, expected: string])[] = [
  ['{{.Id}}', 'sha256:0123456789abcdef'],
  ['{{json .RootFS.Layers}}', '["sha256:aa","sha256:bb"]'],
  ['{{range .RootFS.Layers}}{{println .}}{{end}}', 'sha256:aa\nsha256:bb\n'],
  ['{{index .RepoTags 0}}', 'app:latest'],
  ['{{len .RootFS.Layers}}', '2'],
  ['{{join .RepoTags ", "}}', 'app:latest'],
  ['{{if .Author}}by {{.Author}}{{else}}nobody{{end}}', 'by Some <one@x.org>'],
  ['{{if .Parent}}p{{else if .Comment}}{{.Comment}}{{else}}x{{end}}', 'a comment'],
  ['{{with .Config}}{{.User}}{{end}}', '1000:1000'],
  ['{{with .Parent}}a{{else}}b{{end}}', 'b'],
  ['{{.Id | upper}}', 'SHA256:0123456789ABCDEF'],
  ['{{upper .Os}} {{lower .Os}} {{title .Os}}', 'LINUX linux Linux'],
  ['{{split .Id ":"}}', '[sha256 0123456789abcdef]'],
  ['{{index (split .Id ":") 1}}', '0123456789abcdef'],
  ['{{printf "%s-%d" .Os .Size}}', 'linux-30'],
  ['{{printf "%q" .Os}}', '"linux"'],
  ['{{printf "%v" .RepoTags}}', '[app:latest]'],
  ['{{printf "%5s|%-8s|" .Os .Os}}', 'linux|linux   |'],
  ['{{printf "%x" .Os}}', '6c696e7578'],
  ['{{printf "%.3s" .Id}}', 'sha'],
  ['{{printf "%08d" .Size}}', '00000030'],
  ['{{printf "%t" .Config.Tty}}', 'false'],
  ['{{printf "%d" .Os}}', '%!d(string=linux)'],
  ['{{printf "%s"}}', '%!s(MISSING)'],
  ['{{printf "%d" 1 2}}', '1%!(EXTRA int=2)'],
  ['{{printf "%%"}}', '%'],
  ['{{printf "%+v" .RootFS}}', '{Type:layers Layers:[sha256:aa sha256:bb]}'],
  [
    '{{printf "%v %v" .Config.Labels .Config.ExposedPorts}}',
    'map[a.b:<x> & "q"\n m: z.y:1] map[53/udp:{} 80/tcp:{}]',
  ],
  ['{{printf "%c" 65}}', 'A'],
  ['{{printf "%e" 1.5}}', '1.500000e+00'],
  ['{{printf "%6.2f|" 3.14159}}', '  3.14|'],
  ['{{range $i, $e := .RootFS.Layers}}{{$i}}={{$e}} {{end}}', '0=sha256:aa 1=sha256:bb '],
  ['{{range $e := .RepoTags}}[{{$e}}]{{end}}', '[app:latest]'],
  ['{{range $k, $v := .Config.Labels}}{{$k}}={{$v}};{{end}}', 'a.b=<x> & "q"\n;m=;z.y=1;'],
  ['{{range .Config.Env}}{{.}}{{else}}none{{end}}', 'PATH=/binA=b c'],
  ['{{range .Config.Labels}}<{{.}}>{{end}}', '<<x> & "q"\n><><1>'],
  ['{{$x := .Os}}{{$x}}', 'linux'],
  ['{{$x := 1}}{{$x = 2}}{{$x}}', '2'],
  ['{{$.Os}}', 'linux'],
  ['{{with .Config}}{{$.Os}}{{end}}', 'linux'],
  ['{{eq .Os "linux"}}', 'true'],
  ['{{ne .Os "linux"}}', 'false'],
  ['{{lt .Size 100}}', 'true'],
  ['{{gt .Size 100}}', 'false'],
  ['{{le 1 1}} {{ge 1 2}}', 'true false'],
  ['{{eq .Os "a" "linux"}}', 'true'],
  ['{{and .Os .Author}}', 'Some <one@x.org>'],
  ['{{or .Parent .Os}}', 'linux'],
  ['{{not .Parent}}', 'true'],
  ['{{and true false}}', 'false'],
  ['{{.Config.Labels}}', 'map[a.b:<x> & "q"\n m: z.y:1]'],
  ['{{.Config.Labels.m}}|', '|'],
  ['{{index .Config.Labels "a.b"}}', '<x> & "q"\n'],
  ['{{index .Config.Labels "nope"}}|', '|'],
  ['{{.Config.Labels.nope}}|', '<no value>|'],
  ['{{json .Config.Labels}}', '{"a.b":"<x> & \\"q\\"\\n","m":"","z.y":"1"}'],
  ['{{.RootFS}}', '{layers [sha256:aa sha256:bb]}'],
  ['{{.Config.ExposedPorts}}', 'map[53/udp:{} 80/tcp:{}]'],
  ['{{json .Config.ExposedPorts}}', '{"53/udp":{},"80/tcp":{}}'],
  ['{{.Size}}', '30'],
  ['{{json .Size}}', '30'],
  ['{{.Config.Env}}', '[PATH=/bin A=b c]'],
  ['{{.Created}}', '2024-02-03T04:05:06.123456789Z'],
  ['{{.Config.Cmd}}', '[echo "<&>" \u2028 é]'],
  ['{{.Config.Healthcheck}}', '{[CMD x] 30s 1s 5ns 0s 3}'],
  ['{{.Config.Healthcheck.Interval}}', '30s'],
  [
    '{{json .Config.Healthcheck}}',
    '{"Test":["CMD","x"],"Interval":30000000000,"Timeout":1000000000,"StartPeriod":5,"Retries":3}',
  ],
  ['{{.Config.StopTimeout}}', '5'],
  ['{{.Config.Tty}}', 'false'],
  ['{{.Config.Shell}}', '[/bin/bash -c]'],
  ['{{json .Config.Cmd}}', '["echo \\"<&>\\" \\u2028 é"]'],
  ['{{.Config.Cmd | json}}', '["echo \\"<&>\\" \\u2028 é"]'],
  ['{{.Id}}}}', 'sha256:0123456789abcdef}}'],
  ['{{range .RepoTags}}{{break}}{{end}}ok', 'ok'],
  ['{{range .RepoTags}}{{continue}}x{{end}}ok', 'ok'],
  ['{{/* comment */}}x', 'x'],
  ['a {{- .Os -}} b', 'alinuxb'],
  ['a {{- /* c */ -}} b', 'ab'],
  ['{{"a\\tb"}}', 'a\tb'],
  ['{{`raw\\n`}}', 'raw\\n'],
  ["{{'a'}}", '97'],
  ['{{1.5}} {{0x10}} {{1e3}} {{-3}} {{1_000}}', '1.5 16 1000 -3 1000'],
  ['{{print 1 2 "a" "b" 3}}', '1 2ab3'],
  ['{{println "a" 1}}x', 'a 1\nx'],
  ['{{slice .Id 7 19}}', '0123456789ab'],
  ['{{slice .RepoTags 0 1}}', '[app:latest]'],
  ['{{pad .Os 1 2}}|', ' linux  |'],
  ['{{truncate .Id 10}}', 'sha256:012'],
  ['{{json .Os | upper}}', '"LINUX"'],
  ['{{.Os | printf "%s-%s" "a"}}', 'a-linux'],
  ['{{with $x := .Os}}{{$x}}{{end}}', 'linux'],
  ['{{if and .Os (eq .Architecture "amd64")}}y{{end}}', 'y'],
  ['{{if not (eq .Os "linux")}}n{{else}}l{{end}}', 'l'],
  ['plain', 'plain'],
  ['{{range 3}}{{.}}{{end}}', '012'],
  ['{{index .Config.Labels}}', 'map[a.b:<x> & "q"\n m: z.y:1]'],
  ['{{index .Config "User"}}', '1000:1000'],
  ['{{index .RootFS.Layers 0 0}}', '115'],
  ['{{len "héé"}}', '5'],
  ['{{title "hello world"}}', 'Hello World'],
  ['{{upper "é"}}', 'É'],
  ['{{.Config.Labels | json}}', '{"a.b":"<x> & \\"q\\"\\n","m":"","z.y":"1"}'],
  ['{{json "<&>"}}', '"<&>"'],
  ['{{println}}', '\n'],
  ['{{lt "a" "b"}}', 'true'],
  ['{{if 0}}a{{else}}b{{end}}{{if ""}}a{{else}}b{{end}}', 'bb'],
  ['{{.Config.Volumes}}', 'map[/b:{} /data:{}]'],
  ['{{ .Id\n}}', 'sha256:0123456789abcdef'],
  ['{{$x := 1}}{{range .RepoTags}}{{$x = 5}}{{end}}{{$x}}', '5'],
  ['{{with .Parent}}a{{else with .Os}}b{{.}}{{end}}', 'blinux'],
  ['{{.Os}}\n{{.Id}}', 'linux\nsha256:0123456789abcdef'],
  ['{{"x" | printf "%s %s" "y" | upper}}', 'Y X'],
  ['{{slice "abc" 1}}', 'bc'],
  ['{{index "abc" 1}}', '98'],
  ['{{println .Config.Entrypoint .Config.User}}', '[/bin/sh -c] 1000:1000\n'],
  ['{{printf "%-20s|" .RepoTags}}', '[app:latest          ]|'],
  ['{{printf "%3d|%-3d|%+d" 5 5 5}}', '  5|5  |+5'],
  ['{{printf "%v" nil}}', '<nil>'],
  ['{{printf "%s" nil}}', '%!s(<nil>)'],
  ['{{printf "%*d" 5 1}}', '    1'],
  ['{{printf "%!"}}', '%!!(MISSING)'],
  ['{{printf "%"}}', '%!(NOVERB)'],
  ['{{printf "%z" 1}}', '%!z(int=1)'],
  ['{{.Config.OnBuild}} {{.Config.MacAddress}}|', '[RUN x] |'],
  ['{{.Variant}}', 'v2'],
  ['{{.VirtualSize}}', '0'],
  ['{{.Container}}', ''],
  ['{{.OsVersion}}|', '|'],
];

for (const [template, expected] of PRINTED)
  test(`${template} prints what docker prints`, () => {
    assert.equal(compileTemplate(template)(FULL), expected);
  });

const PRINTED_OF_NOTHING: typeof PRINTED = [
  ['{{.Config.Env}} {{json .Config.Env}} {{len .Config.Env}}', '[] null 0'],
  ['{{.Config.Labels}} {{json .Config.Labels}} {{len .Config.Labels}}', 'map[] null 0'],
  ['{{.Config.Labels.a}}|{{index .Config.Labels "a"}}|', '<no value>||'],
  ['{{.Config.Healthcheck}}', '<nil>'],
  ['{{if .Config.Healthcheck}}a{{else}}b{{end}}', 'b'],
  ['{{.Config.StopTimeout}}', '<nil>'],
  ['{{range .Config.Env}}a{{else}}b{{end}}', 'b'],
  [
    '{{.Variant}}|{{.OsVersion}}|{{.Config.StopSignal}}|{{.Config.MacAddress}}|{{.Config.Shell}}',
    '||||[]',
  ],
  ['{{json .Config.Healthcheck}}', 'null'],
  ['{{.Config.ExposedPorts}}', 'map[]'],
  ['{{json .Config.Shell}}', 'null'],
  ['{{.Config.Entrypoint}}', '[]'],
];

for (const [template, expected] of PRINTED_OF_NOTHING)
  test(`${template} of a config without anything prints what docker prints`, () => {
    assert.equal(compileTemplate(template)(NIL), expected);
  });

const REFUSED: typeof PRINTED = [
  [
    '{{range .Config.Nope}}x{{end}}',
    ':1:15: executing "" at <.Config.Nope>: map has no entry for key "Nope"',
  ],
  ['{{.Foo}}', ':1:2: executing "" at <.Foo>: map has no entry for key "Foo"'],
  ['{{.RootFS.Foo}}', ':1:9: executing "" at <.RootFS.Foo>: map has no entry for key "Foo"'],
  [
    '{{.Os.Foo}}',
    ':1:5: executing "" at <.Os.Foo>: can\'t evaluate field Foo in type interface {}',
  ],
  [
    '{{index .RepoTags 5}}',
    ':1:2: executing "" at <index .RepoTags 5>: error calling index: index out of range: 5',
  ],
  [
    '{{index .RepoTags "a"}}',
    ':1:2: executing "" at <index .RepoTags "a">: error calling index: cannot index slice/array with type string',
  ],
  ['{{.Id', ':1: unclosed action'],
  ['{{foo .Id}}', ':1: function "foo" not defined'],
  ['{{end}}', ':1: unexpected {{end}}'],
  ['{{if .Id}}', ':1: unexpected EOF'],
  ['{{range .Os}}{{.}}{{end}}', ':1:8: executing "" at <.Os>: range can\'t iterate over linux'],
  ['{{$y}}', ':1: undefined variable "$y"'],
  ['{{"unterminated}}', ':1: unterminated quoted string'],
  ['{{}}', ':1: missing value for command'],
  ['{{ }}', ':1: missing value for command'],
  ['{{.Id .Os}}', ':1:2: executing "" at <.Id>: Id is not a method but has arguments'],
  ['{{1 .Os}}', ':1:2: executing "" at <1>: can\'t give argument to non-function 1'],
  ['{{if}}{{end}}', ':1: missing value for if'],
  ['{{else}}', ':1: unexpected {{else}}'],
  ['{{break}}', ':1: {{break}} outside {{range}}'],
  ['{{true}} {{nil}}', ':1:11: executing "" at <nil>: nil is not a command'],
  ['{{json .Nope}}', ':1:7: executing "" at <.Nope>: map has no entry for key "Nope"'],
  ['{{with .Nope}}a{{end}}', ':1:7: executing "" at <.Nope>: map has no entry for key "Nope"'],
  [
    '{{eq "a" 1}}',
    ':1:2: executing "" at <eq "a" 1>: error calling eq: incompatible types for comparison',
  ],
  [
    '{{eq .RepoTags .RepoTags}}',
    ':1:2: executing "" at <eq .RepoTags .RepoTags>: error calling eq: non-comparable type [app:latest]: []interface {}',
  ],
  ['{{.id}}', ':1:2: executing "" at <.id>: map has no entry for key "id"'],
  ['{{"a" "b"}}', ':1:2: executing "" at <"a">: can\'t give argument to non-function "a"'],
  ['{{.Os | .Id}}', ':1:8: executing "" at <.Id>: Id is not a method but has arguments'],
  ['{{range $i, $e, $f := .RepoTags}}{{end}}', ':1: too many declarations in range'],
  ['{{split .Os}}', ':1:2: executing "" at <split>: wrong number of args for split: want 2 got 1'],
  [
    '{{join .Os ","}}',
    ':1:7: executing "" at <.Os>: wrong type for value; expected []string; got string',
  ],
  ['{{lower 5}}', ':1:8: executing "" at <5>: expected string; found 5'],
  ['{{len}}', ':1:2: executing "" at <len>: wrong number of args for len: want 1 got 0'],
  [
    '{{index}}',
    ':1:2: executing "" at <index>: wrong number of args for index: want at least 1 got 0',
  ],
  ['{{not}}', ':1:2: executing "" at <not>: wrong number of args for not: want 1 got 0'],
  ['{{eq 1}}', ':1:2: executing "" at <eq 1>: error calling eq: missing argument for comparison'],
  ['{{if .Os}}a{{else}}b{{else}}c{{end}}', ':1: expected end; found {{else}}'],
  [
    '{{slice "abc" 2 1}}',
    ':1:2: executing "" at <slice "abc" 2 1>: error calling slice: invalid slice index: 2 > 1',
  ],
];

for (const [template, expected] of REFUSED)
  test(`${template} is refused in docker's words`, () => {
    assert.throws(() => compileTemplate(template)(FULL), {
      code: 'INVALID_ARGUMENT',
      message: `template parsing error: template: ${expected}`,
    });
  });

test('an image without a config has no fields in it', () => {
  assert.equal(compileTemplate('{{.Config}}{{with .Config}}a{{else}}b{{end}}')(BARE), '<nil>b');
  assert.throws(() => compileTemplate('{{.Config.User}}')(BARE), {
    message:
      'template parsing error: template: :1:9: executing "" at <.Config.User>: nil pointer evaluating interface {}.User',
  });
});

test('a field that a row of a table does not have is named with its type', () => {
  const row = new Struct({ ID: 'x' }, { type: 'image' });
  assert.throws(() => compileTemplate('{{.Foo}}')(row), /can't evaluate field Foo in type image$/);
});

test('what is not supported says so', () => {
  for (const word of ['define', 'template', 'block'])
    assert.throws(() => compileTemplate(`{{${word} "x"}}`), /is not supported/);
});

test('templates nested without end are refused', () => {
  const deep = '('.repeat(5000);
  assert.throws(() => compileTemplate(`{{${deep}`), { code: 'INVALID_ARGUMENT' });
  assert.throws(() => compileTemplate('{{if 1}}'.repeat(5000)), { code: 'INVALID_ARGUMENT' });
});

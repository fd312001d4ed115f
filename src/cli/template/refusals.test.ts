import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BARE, FULL } from './fixture.ts';
import { compileTemplate } from './template.ts';
import { Struct } from './value.ts';

const REFUSED: readonly (readonly [template: string, complaint: string])[] = [
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

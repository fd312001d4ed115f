import assert from 'node:assert/strict';
import { test } from 'node:test';
import { escape, escapeName, escapeText } from './escape.ts';

const TEXTS: readonly (readonly [string, string])[] = [
  ['plain é 日本', 'plain é 日本'],
  ['\u001b[31mred\u0007', '\\033[31mred\\007'],
  ['a\nb\tc\rd', 'a\\nb\\tc\\rd'],
  ['\u009b31m', '\\302\\23331m'],
  ['gnp.\u202eexe', 'gnp.\\342\\200\\256exe'],
  ['back\\slash', 'back\\slash'],
];

for (const [text, expected] of TEXTS)
  test(`${JSON.stringify(text)} cannot steer a terminal`, () => {
    assert.equal(escape(text), expected);
  });

test('line breaks and tabs of a template stay, escapes do not', () => {
  assert.equal(escapeText('a\tb\n\u001b[2J'), 'a\tb\n\\033[2J');
});

const NAMES: readonly (readonly [Buffer, string])[] = [
  [Buffer.from('plain'), 'plain'],
  [Buffer.from('a\\b'), 'a\\\\b'],
  [Buffer.from([0x61, 0xff, 0x62]), 'a\\377b'],
  [Buffer.from([0xc3, 0xa9, 0xc3]), 'é\\303'],
  [Buffer.from('\ufffd'), '\ufffd'],
  [Buffer.from([0xed, 0xa0, 0x80]), '\\355\\240\\200'],
  [Buffer.from([0xf0, 0x9f, 0x98, 0x80, 0x0a, 0xfe]), '😀\\n\\376'],
];

for (const [raw, expected] of NAMES)
  test(`the name ${raw.toString('hex')} is spelled exactly`, () => {
    assert.equal(escapeName(raw), expected);
  });

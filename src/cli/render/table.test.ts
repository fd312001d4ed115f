import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cut, table } from './table.ts';

test('columns align by what a terminal shows, not by characters', () => {
  const text = table(
    [{ head: 'NAME' }, { head: 'SIZE' }],
    [
      ['日本', '1'],
      ['abcdefghij', '22'],
    ],
  );
  assert.equal(text, 'NAME         SIZE\n日本         1\nabcdefghij   22\n');
});

test('no column is narrower than docker makes it', () => {
  assert.equal(table([{ head: 'A' }, { head: 'B' }], [['x', 'y']]), 'A         B\nx         y\n');
});

test('a hostile cell stays in its row', () => {
  const text = table([{ head: 'A' }], [['x\n\u001b[31mfake row']]);
  assert.equal(text, 'A\nx\\n\\033[31mfake row\n');
});

test('a narrow terminal cuts the flexible column only', () => {
  const layout = [
    { head: 'ID' },
    { head: 'COMMAND', flexible: true },
    { head: 'SIZE', right: true },
  ];
  const text = table(layout, [['1234567', 'a very long command that goes on', '1MB']], 40);
  assert.equal(
    text,
    [
      'ID        COMMAND                   SIZE',
      '1234567   a very long command…       1MB',
      '',
    ].join('\n'),
  );
});

test('a cut never splits a wide character', () => {
  assert.equal(cut('日本語', 5), '日本…');
  assert.equal(cut('日本語', 4), '日…');
  assert.equal(cut('ab', 2), 'ab');
});

test('a table may have more rows than a call has parameters', () => {
  const rows = Array.from({ length: 300_000 }, (_, at) => [String(at)]);
  const text = table([{ head: 'N' }], rows);
  assert.ok(text.endsWith('\n299999\n'));
});

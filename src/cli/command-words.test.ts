import assert from 'node:assert/strict';
import { test } from 'node:test';
import { commandWords, runsProcess } from './command-words.ts';
import { globalOptions } from './program.ts';

test('the words of a command are found behind options and their values', () => {
  for (const [line, words] of [
    ['', []],
    ['--help', []],
    ['run alpine', ['run', 'alpine']],
    ['--root run --debug create alpine', ['create', 'alpine']],
    ['--root=run --config c container --storage-driver vfs run x', ['container', 'run']],
    ['--debug run', ['run']],
  ] as const)
    assert.deepEqual(commandWords(line.split(' ').filter(Boolean)), words, line);
});

test('every global option that takes a value is known before the command is', () => {
  for (const { long, required } of globalOptions())
    assert.deepEqual(
      commandWords([long!, 'value', 'run']),
      required ? ['run'] : ['value', 'run'],
      long,
    );
});

test('what runs a process is told from what does not', () => {
  for (const line of ['run x', '--root r container run x', 'exec x y', 'container exec x y'])
    assert.ok(runsProcess(line.split(' ')), line);
  for (const line of ['create run', 'image run', 'container ls run', 'help run', '--root run'])
    assert.ok(!runsProcess(line.split(' ')), line);
});

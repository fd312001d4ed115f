import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, before, test } from 'node:test';
import { SCRIPTS } from '../../src/cli/completion/scripts.ts';
import { file, tree } from '../../src/testing/tree.ts';
import { type Kit, openKit } from './kit.ts';

let kit: Kit;
before(async () => {
  kit = await openKit();
  await kit.origin.image('team/app', [tree({ 'etc/one': file(), 'etc/two': file() })]);
  await kit.ok('pull -q REG/team/app');
  await kit.ok('tag REG/team/app app:1');
});
after(() => kit[Symbol.asyncDispose]());

/** Words before the cursor, and what may follow; `…` stands for more. */
const CASES: readonly (readonly [words: readonly string[], expected: string])[] = [
  [['i'], 'images inspect import info image'],
  [['image', 'p'], 'pull push prune'],
  [['--root', ''], ':files'],
  [['--root', '/x', 'tr'], 'tree'],
  [['--st'], '--storage-driver'],
  [['--storage-driver', 'o'], 'overlay2'],
  [['migrate', '--driver', 'b'], 'btrfs'],
  [['pull', '--pr'], '--progress'],
  [['pull', '--progress', ''], 'auto tty plain json quiet'],
  [['images', '--filter', 'ref'], 'reference= :open'],
  [['rmi', ''], 'REG/team/app:latest app:1'],
  [['rmi', 'app:1', 'a'], 'app:1'],
  [['inspect', '-f', ''], 'json'],
  [['ls', 'app:1', '/etc/o'], '/etc/one :open'],
  [['ls', 'app:1:/e'], 'app:1:/etc/ :open'],
  [['cp', 'app:1:/etc', ''], ':files'],
  [['save', '--have', 'a'], 'app:1'],
  [['save', '-o', ''], ':files'],
  [['save', '--format', ''], 'docker-archive oci-archive oci-dir'],
  [['import', ''], ':files'],
  [['load', '-i', ''], ':files'],
  [['copy', 'docker'], 'docker:// docker-archive: :open'],
  [['copy', 'app:1', 'oci'], 'oci: oci-archive: :open'],
  [['completion', ''], 'bash zsh fish'],
  [['help', 'image', 'i'], 'import inspect'],
  [['nonsense', ''], 'pull push images …'],
];

for (const [words, expected] of CASES)
  test(`after mica ${words.join(' ')} comes ${expected || 'nothing'}`, async () => {
    const text = await kit.ok(['__complete', '--', ...words]);
    const found = text
      .trimEnd()
      .split('\n')
      .map((line) => line.split('\t')[0])
      .join(' ');
    if (expected.endsWith('…')) assert.ok(found.startsWith(expected.slice(0, -1)), found);
    else assert.equal(found, expected);
  });

test('the bash script loads and offers what the program says', () => {
  const script = `mica() { printf 'images\\tList\\nimage\\t\\n'; }
${SCRIPTS.bash}
COMP_LINE='mica im' COMP_POINT=7; _mica; echo "\${COMPREPLY[*]}"`;
  assert.equal(execFileSync('bash', ['-c', script], { encoding: 'utf8' }), 'images image\n');
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PLAIN, type SourceFile, type SourceTree } from '../files/source-tree.ts';
import { digestDraft } from './digest.ts';
import { type DraftFile, LayerDraft, ROOT } from './draft.ts';
import { parseMode } from './mode.ts';
import { writeDraft } from './write.ts';

const FILE: SourceFile = { ...PLAIN, type: 'file', mode: 0o644 };

/** A tree that has these directories and links. */
const lowerOf = (files: Readonly<Record<string, Partial<SourceFile>>>): SourceTree => ({
  name: 'lower',
  lstat: (path) => (Object.hasOwn(files, path) ? { ...FILE, ...files[path] } : undefined),
  names: () => [],
  async *read() {},
});

/** A file that is read as one text the first time, as another later. */
function changing(first: string, then: string): DraftFile {
  let reads = 0;
  return {
    ...FILE,
    size: first.length,
    async *open() {
      yield Buffer.from(reads++ === 0 ? first : then);
    },
  };
}

for (const then of ['other', 'short', 'longer text', ''])
  test(`a file that is ${JSON.stringify(then)} when it is read again ends the layer`, async () => {
    const draft = new LayerDraft(lowerOf({}));
    draft.put('f', changing('first', then));
    const digests = await digestDraft(draft);
    await assert.rejects(Array.fromAsync(writeDraft(draft, digests)), {
      code: 'FAILED_PRECONDITION',
    });
  });

test('a file that is not as long as it says is noticed at the first reading', async () => {
  const draft = new LayerDraft(lowerOf({}));
  draft.put('f', { ...changing('first', 'first'), size: 9 });
  await assert.rejects(digestDraft(draft), { code: 'FAILED_PRECONDITION' });
});

test('directories of lower layers are repeated as they are, and new ones are as old as their files', () => {
  const lower = lowerOf({ a: { type: 'directory', mode: 0o700, uid: 5, mtime: 7 } });
  const draft = new LayerDraft(lower, 99);
  draft.makeDirectory('a/b/c', { uid: 1, gid: 2 });
  assert.equal(draft.newest().mtime, 99);
  draft.put('a/b/c/f', { ...changing('', ''), mtime: 50 });
  const members = draft.members().map(([path, { mode, uid, mtime }]) => [path, mode, uid, mtime]);
  assert.deepEqual(members, [
    ['a', 0o700, 5, 7],
    ['a/b', 0o755, 1, 50],
    ['a/b/c', 0o755, 1, 50],
    ['a/b/c/f', 0o644, 0, 50],
  ]);
});

test('members come in the order of a tree, whatever order they were put in', () => {
  const draft = new LayerDraft(lowerOf({}));
  for (const path of ['a-b', 'a', 'a.b']) draft.makeDirectory(path, ROOT);
  for (const path of ['a/z', 'a-b/x', 'b']) draft.put(path, changing('', ''));
  const paths = draft.members().map(([path]) => path);
  assert.deepEqual(paths, ['a', 'a/z', 'a-b', 'a-b/x', 'a.b', 'b']);
});

test('links of lower layers are followed inside of the tree, and not for ever', () => {
  const link = (target: string): Partial<SourceFile> => ({ type: 'symlink', target });
  const draft = new LayerDraft(
    lowerOf({ bin: link('usr/bin'), out: link('/../../etc'), one: link('two'), two: link('one') }),
  );
  assert.equal(draft.resolve('bin/x'), 'usr/bin/x');
  assert.equal(draft.resolve('out/x'), 'etc/x');
  assert.throws(() => draft.resolve('one/x'), { code: 'FAILED_PRECONDITION' });
});

const MODES: readonly (readonly [
  text: string,
  before: number,
  after: number,
  directory?: boolean,
])[] = [
  ['755', 0o600, 0o755],
  ['u+x', 0o644, 0o744],
  ['+x', 0o644, 0o755],
  ['go-rwx', 0o777, 0o700],
  ['a=r,u+w', 0o777, 0o644],
  ['u=rwX,go=rX', 0o600, 0o644],
  ['u=rwX,go=rX', 0o700, 0o755],
  ['u=rwX,go=rX', 0o700, 0o755, true],
  ['u+s', 0o755, 0o4755],
  ['+t', 0o777, 0o1777],
];
for (const [text, before, after, directory = false] of MODES)
  test(`--chmod=${text} makes ${before.toString(8)} ${after.toString(8)}`, () => {
    assert.equal(parseMode(text)(before, directory).toString(8), after.toString(8));
  });

for (const text of ['', '8', '77777', 'x', 'u', 'u+q', 'u=r,', 'z+r'])
  test(`refuses --chmod=${text}`, () => {
    assert.throws(() => parseMode(text), { code: 'INVALID_ARGUMENT' });
  });

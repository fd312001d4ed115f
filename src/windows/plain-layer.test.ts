import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Entry } from '../tar/entry.ts';
import { readTar } from '../tar/read-tar.ts';
import { type NewMember, writeTar } from '../tar/write.ts';
import { checkedLayer } from './checked-layer.ts';
import { plainLayer } from './plain-layer.ts';

const member = (name: string, given: Partial<NewMember> = {}): NewMember => ({
  type: 'file',
  name,
  linkName: '',
  mode: 0o644,
  uid: 1000,
  gid: 1000,
  size: given.content instanceof Uint8Array ? given.content.length : 0,
  mtime: 1_600_000_000,
  mtimeNs: 123_456_789,
  deviceMajor: 0,
  deviceMinor: 0,
  xattrs: undefined,
  sparse: undefined,
  content: new Uint8Array(),
  ...given,
});

/** What becomes of the members, looked at as Windows' importer would. */
async function become(members: NewMember[]): Promise<(Entry & { text: string })[]> {
  const directories = new Set(
    members.filter(({ type }) => type === 'directory').map(({ name }) => name),
  );
  const layer = checkedLayer(plainLayer(readTar(writeTar(members)), directories), {
    isBase: false,
  });
  const found: (Entry & { text: string })[] = [];
  for await (const { content, ...entry } of readTar(layer))
    found.push({ ...entry, text: Buffer.concat(await Array.fromAsync(content)).toString() });
  return found;
}

test('files come into Files, behind the directories that every layer begins with', async () => {
  const found = await become([
    member('d', { type: 'directory' }),
    member('d/a', { content: Buffer.from('a') }),
  ]);
  assert.deepEqual(
    found.map(({ name, text, windows }) => [name, text, windows!.get('MSWINDOWS.fileattr')]),
    [
      ['Files', '', '16'],
      ['Hives', '', '16'],
      ['Files/d', '', '16'],
      ['Files/d/a', 'a', '32'],
    ],
  );
  // To 100 nanoseconds, as Windows counts.
  assert.equal(found[3]!.mtimeNs, 123_456_700);
});

test('a link is one to a directory if a directory is there, whichever comes first', async () => {
  const found = await become([
    member('to-d', { type: 'symlink', linkName: 'd' }),
    member('to-f', { type: 'symlink', linkName: './f' }),
    member('d', { type: 'directory' }),
    member('d/up', { type: 'symlink', linkName: '../d/' }),
    member('f'),
  ]);
  const attributes = Object.fromEntries(
    found.map(({ name, windows }) => [name, Number(windows?.get('MSWINDOWS.fileattr'))]),
  );
  assert.equal(attributes['Files/to-d'], 0x410);
  assert.equal(attributes['Files/to-f'], 0x400);
  assert.equal(attributes['Files/d/up'], 0x410);
  assert.equal(found.find(({ name }) => name === 'Files/to-f')!.linkName, '.\\f');
});

test('holes become zeros, and hard links lead to where their files are now', async () => {
  const found = await become([
    member('sparse', {
      size: 3000,
      sparse: [
        { offset: 512, length: 3 },
        { offset: 1024, length: 2 },
      ],
      content: Buffer.from('abcde'),
    }),
    member('same', { type: 'link', linkName: 'sparse' }),
  ]);
  const wanted = Buffer.alloc(3000);
  wanted.write('abc', 512);
  wanted.write('de', 1024);
  assert.equal(found[2]!.text, wanted.toString());
  assert.deepEqual([found[3]!.type, found[3]!.linkName], ['link', 'Files/sparse']);
});

for (const type of ['char', 'fifo'] as const)
  test(`a ${type} is refused`, () =>
    assert.rejects(become([member('x', { type, deviceMajor: 1, deviceMinor: 3 })]), {
      code: 'INVALID_ARGUMENT',
      message: /x: a (?:char|fifo) is nothing that Windows has/,
    }));

test('names that Windows would read as others are refused', () =>
  assert.rejects(become([member('a:b')]), { code: 'INVALID_ARGUMENT' }));

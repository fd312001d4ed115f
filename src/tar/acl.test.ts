import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isMinimal, parseAcl } from './acl.ts';

const WANTED =
  '0200000001000600ffffffff02000400e803000004000400ffffffff10000400ffffffff20000000ffffffff';

/** The same list, as different programs and people write it. */
const SPELLINGS: readonly (readonly [who: string, text: string])[] = [
  ['star', 'user::rw-,user:alice:r--:1000,group::r--,mask::r--,other::---'],
  ['bsdtar', 'user::rw-,group::r--,other::---,user:alice:r--:1000,mask::r--'],
  ['GNU tar', 'user::rw-\nuser:1000:r--\ngroup::r--\nmask::r--\nother::---\n'],
  ['getfacl', '# file: f\nu::rw-\nu:1000:r--\t#effective:r--\ng::r--\nm::r--\no::---\n'],
];
for (const [who, text] of SPELLINGS)
  test(`an access control list as ${who} writes it becomes what the kernel keeps`, () => {
    assert.equal(parseAcl(text)?.toString('hex'), WANTED);
  });

const LEFT_OUT: readonly (readonly [why: string, text: string])[] = [
  ['names a user without a number', 'u::rw-,u:alice:r--,g::r--,m::r--,o::---'],
  ['names two ids without a mask', 'u::rw-,u:1:r--,u:2:r--,g::r--,o::---'],
  ['has no entry for others', 'u::rw-,g::r--'],
  ['has a user twice', 'u::rw-,u:1:r--,u:1:rw-,g::r--,m::r--,o::---'],
  ['has two owners', 'u::rw-,u::r--,g::r--,o::---'],
  ['has a mask for one id', 'u::rw-,g::r--,m:5:r--,o::---'],
  ['has an id of more than 32 bits', 'u::rw-,u:4294967295:r--,g::r--,m::r--,o::---'],
  ['is no list at all', 'rwxr-xr-x'],
  ['is empty', ''],
];
for (const [why, text] of LEFT_OUT)
  test(`a list that ${why} is left out`, () => {
    assert.equal(parseAcl(text), undefined);
  });

test('entries are sorted as the kernel wants them, ids by number', () => {
  const list = (users: string): string => `o::---,m::rwx,${users},g::r--,u::rw-`;
  const sorted = parseAcl(list('u:3:r--,u:20:r--,u:100:r--'))!;
  assert.ok(sorted.equals(parseAcl(list('u:100:r--,u:3:r--,u:20:r--'))!));
  assert.deepEqual(
    [1, 2, 3].map((index) => sorted.readUInt32LE(8 + 8 * index)),
    [3, 20, 100],
  );
});

test('a list that says what permission bits say is told apart', () => {
  assert.ok(isMinimal(parseAcl('u::rw-,g::r--,o::---')!));
  assert.ok(!isMinimal(parseAcl('u::rw-,g::r--,m::r--,o::---')!));
});

test('a list that is full of comments is read at once', () => {
  const before = process.threadCpuUsage();
  assert.equal(parseAcl(`${'#'.repeat(256 * 1024)}\r`), undefined);
  // Of the processor: a pattern that begins anew at each takes twenty seconds.
  const { user } = process.threadCpuUsage(before);
  assert.ok(user < 2_000_000, `${user} microseconds`);
});

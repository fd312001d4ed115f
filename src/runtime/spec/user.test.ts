import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Root } from '../../fs/root.ts';
import { needs } from '../../testing/need.ts';
import { type ContainerUser, resolveUser } from './user.ts';

const skip = needs('linux');

const PASSWD = `root:x:0:0:root:/root:/bin/sh
# a comment
joe:x:1000:1000::/home/joe:/bin/sh

broken:x:abc:1:::
1234:x:77:78::/home/digits:
nohome:x:88:89::
huge:x:4294967296:1:::
`;
const GROUP = `root:x:0:
joe:x:1000:
wheel:x:10:root,joe
docker:x:999:joe
500:x:501:
`;

async function withRoot(use: (root: Root, path: string) => void, files = true): Promise<void> {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'user-'));
  const path = join(dir.path, 'root');
  mkdirSync(join(path, 'etc'), { recursive: true });
  if (files) {
    writeFileSync(join(path, 'etc/passwd'), PASSWD);
    writeFileSync(join(path, 'etc/group'), GROUP);
  }
  using root = new Root(path);
  use(root, path);
}

const short = ({ uid, gid, additionalGids, home }: ContainerUser): string =>
  `${uid}:${gid} ${additionalGids.join(',')} ${home}`;

for (const [user, groups, expected] of [
  ['', [], '0:0 0,10 /root'],
  ['root', [], '0:0 0,10 /root'],
  ['joe', [], '1000:1000 1000,10,999 /home/joe'],
  ['1000', [], '1000:1000 1000,10,999 /home/joe'],
  ['joe:wheel', [], '1000:10 10 /home/joe'],
  ['joe:7', [], '1000:7 7 /home/joe'],
  ['4242', [], '4242:0 0 /'],
  ['4242:4343', [], '4242:4343 4343 /'],
  ['4242:docker', [], '4242:999 999 /'],
  ['1234', [], '77:78 78 /home/digits'],
  ['nohome', [], '88:89 89 /'],
  ['joe:500', [], '1000:501 501 /home/joe'],
  ['joe:', [], '1000:1000 1000,10,999 /home/joe'],
  ['joe', ['docker', '5'], '1000:1000 1000,10,999,5 /home/joe'],
] as const)
  test(
    `user ${JSON.stringify(user)} with groups [${groups.join()}] is ${expected}`,
    { skip },
    async () => {
      await withRoot((root) => assert.equal(short(resolveUser(root, user, groups)), expected));
    },
  );

for (const user of [
  'jane',
  'joe:staff',
  'broken',
  'huge',
  '-1',
  '2147483648',
  'joe:joe:joe',
  '01x',
])
  test(`user ${user} is refused`, { skip }, async () => {
    await withRoot((root) => {
      assert.throws(() => resolveUser(root, user), { code: 'INVALID_ARGUMENT' });
    });
  });

test('without passwd and group numbers work, and names do not', { skip }, async () => {
  await withRoot((root) => {
    assert.equal(short(resolveUser(root, '')), '0:0 0 /');
    assert.equal(short(resolveUser(root, '5:6')), '5:6 6 /');
    assert.throws(() => resolveUser(root, 'root'), { code: 'INVALID_ARGUMENT' });
  }, false);
});

test('links in an image lead to its own files, never to ours', { skip }, async () => {
  await withRoot((root, path) => {
    writeFileSync(join(path, 'passwd'), 'evil:x:66:66::/inside:/bin/sh\n');
    writeFileSync(join(path, '..', 'passwd'), 'evil:x:0:0::/outside:/bin/sh\n');
    symlinkSync('../../../../../../passwd', join(path, 'etc/passwd'));
    assert.equal(resolveUser(root, 'evil').home, '/inside');
    mkdirSync(join(path, 'other'));
    symlinkSync('/proc/self/root/etc/passwd', join(path, 'etc/group'));
    assert.throws(() => resolveUser(root, 'evil:root'), { code: 'INVALID_ARGUMENT' });
  }, false);
});

test('a passwd that is a pipe or a directory is refused at once', { skip }, async () => {
  await withRoot((root, path) => {
    execFileSync('mkfifo', [join(path, 'etc/passwd')]);
    assert.throws(() => resolveUser(root, 'x'), { code: 'INVALID_ARGUMENT', message: /regular/ });
    mkdirSync(join(path, 'etc/group'));
    assert.throws(() => resolveUser(root, '1:x'), { message: /regular/ });
  }, false);
});

test('a huge passwd is refused before it is read', { skip }, async () => {
  await withRoot((root, path) => {
    truncateSync(join(path, 'etc/passwd'), 2 ** 40);
    assert.throws(() => resolveUser(root, 'joe'), { code: 'RESOURCE_EXHAUSTED' });
  });
});

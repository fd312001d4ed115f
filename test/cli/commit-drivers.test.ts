import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { driverNamed } from '../../src/testing/drivers/table.ts';
import { openContainerKit, skip } from './container-kit.ts';

const DRIVERS = ['vfs', 'erofs', 'fuse-overlayfs', 'aufs', 'btrfs', 'devicemapper', 'zfs'] as const;

/** Hard links, a type that changes, a directory in the place of another, modes, links, an empty file. */
const EDITS = `
  echo new > /data/one; rm /data/two; chmod 600 /data/three; ln /data/one /data/again
  rm -r /etc; mkdir /etc; echo root:x:0:0::/:/bin/sh > /etc/passwd
  mkdir -p /a/b/c; touch /a/b/c/empty; ln -s ../one /a/link; rm /bin/head; mkdir /bin/head`;

describe('a commit', () => {
  const epoch = process.env['SOURCE_DATE_EPOCH'];
  before(() => {
    process.env['SOURCE_DATE_EPOCH'] = '1500000000';
  });
  after(() => {
    if (epoch === undefined) delete process.env['SOURCE_DATE_EPOCH'];
    else process.env['SOURCE_DATE_EPOCH'] = epoch;
  });

  let ofOverlay2: Promise<Committed> | undefined;
  for (const driver of DRIVERS)
    test(
      `has the digest that it has with overlay2, and diff says the same, with ${driver}`,
      { skip: skip || driverNamed(driver).skip },
      async () => {
        ofOverlay2 ??= committed('overlay2');
        const expected = await ofOverlay2;
        assert.match(expected.diff, /^C \/bin\/head$/m);
        assert.deepEqual(await committed(driver), expected);
      },
    );
});

interface Committed {
  readonly digest: string;
  readonly diff: string;
}

async function committed(driver: string): Promise<Committed> {
  await using box = await openContainerKit(driver);
  await box.ok(['run', '--name', 'work', 'box', 'sh', '-c', EDITS]);
  const { digest } = JSON.parse(await box.ok('commit --json work work:1')) as { digest: string };
  const diff = await box.ok('diff work');
  assert.equal((await box.mica('check')).code, 0);
  const script = 'cat /data/again /etc/passwd; test -d /bin/head && ls -d /a/b/c/empty';
  const text = await box.ok(['run', '--rm', 'work:1', 'sh', '-c', script]);
  assert.equal(text, 'new\nroot:x:0:0::/:/bin/sh\n/a/b/c/empty\n');
  return { digest, diff };
}

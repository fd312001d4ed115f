import assert from 'node:assert/strict';
import {
  chownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { test } from 'node:test';
import { needs } from '../../testing/need.ts';
import { within } from '../../testing/mounted.ts';
import { identify, type ProcessIdentity, isAlive, sendSignal } from '../process.ts';
import { performMounts } from '../mount.ts';
import { lowerdirOption, type Mount } from '../mount-data.ts';
import { readMountinfo } from '../mountinfo.ts';
import { argumentOf, FUSE_OVERLAYFS, isServed } from './fuse-overlayfs.ts';
import { isSourceBelow, sourceOf } from './source.ts';

const skip = needs('fuse-overlayfs');

test('directories are named from the one that all are in', () => {
  const lower = lowerdirOption(['/s,t/layers/2/fs', '/s,t/layers/1/fs']);
  assert.deepEqual(
    argumentOf(['upperdir=/s,t/layers/3/fs', 'workdir=/s,t/layers/3/work', lower, 'x=a,b']),
    {
      home: '/s,t/layers',
      argument: String.raw`upperdir=3/fs,workdir=3/work,lowerdir=2/fs:1/fs,x=a\,b`,
    },
  );
  assert.deepEqual(argumentOf(['lowerdir=/a/b']), { home: '/a', argument: 'lowerdir=b' });
  for (const paths of [
    ['/a/b', '/a/c,d'],
    ['/a:b/c', '/a:b/d'],
  ])
    assert.throws(() => argumentOf([lowerdirOption(paths)]), { code: 'INVALID_ARGUMENT' });
});

test('five hundred layers fit in one argument, wherever the store is', () => {
  const root = `/${'deep/'.repeat(100)}layers`;
  const paths = Array.from({ length: 500 }, (_, n) => `${root}/${1_000_000 + n}/fs`);
  const { argument } = argumentOf([lowerdirOption(paths)]);
  assert.ok(argument.length < 10_000);
});

test('a source of any length tells what directory it is below', () => {
  for (const layers of [
    '/s/layers',
    `/${'directory/'.repeat(40)}layers`,
    `/${'ü/'.repeat(120)}l`,
  ]) {
    const source = sourceOf(`${layers}/12/fs`);
    assert.ok(Buffer.byteLength(source) <= 255);
    assert.equal(isSourceBelow(`${layers}/12`, source), true);
    for (const other of ['1', '2', '123', '12/fs'])
      assert.equal(isSourceBelow(`${layers}/${other}`, source), false, other);
  }
});

interface Parts {
  readonly mount: (...options: string[]) => Mount;
  readonly upper: string;
  readonly lower: string;
  readonly target: string;
}

async function parts(run: (given: Parts) => Promise<void>): Promise<void> {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'mica-fuse-'));
  const [lower, upper, work, target] = ['l', 'u', 'w', 't'].map((name) => join(dir.path, name));
  for (const path of [lower, upper, work, target]) mkdirSync(path!);
  writeFileSync(join(lower!, 'below'), 'x');
  const dirs = [`upperdir=${upper}`, `workdir=${work}`, lowerdirOption([lower!])];
  const mount = (...options: string[]): Mount => ({
    type: FUSE_OVERLAYFS,
    source: upper!,
    options: [...dirs, ...options],
  });
  await run({ mount, upper: upper!, lower: lower!, target: target! });
}

const mountOf = (path: string): ReturnType<typeof readMountinfo>[number] | undefined =>
  readMountinfo().findLast(({ target }) => target === path);

/** The process that serves a directory, by what it was started with. */
function serverOf(upper: string): ProcessIdentity {
  const wanted = `upperdir=${upper.slice(upper.lastIndexOf('/') + 1)}`;
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const isServer = readFileSync(`/proc/${pid}/cmdline`, 'latin1').startsWith('fuse-overlayfs');
      if (isServer && readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(wanted))
        if (readdirSync(`/proc/${pid}/fd`).some((fd) => leadsTo(`/proc/${pid}/fd/${fd}`, upper)))
          return identify(Number(pid))!;
    } catch {}
  }
  throw new Error(`nothing serves ${upper}`);
}

function leadsTo(link: string, directory: string): boolean {
  try {
    const [there, wanted] = [statSync(link), statSync(directory)];
    return there.ino === wanted.ino && there.dev === wanted.dev;
  } catch {
    return false;
  }
}

async function ended(server: ProcessIdentity): Promise<void> {
  for (let n = 0; isAlive(server) && n < 3000; n++) await setTimeout(10);
  assert.equal(isAlive(server), false);
}

test('a mount names the directory that it writes into; its process ends with it', { skip }, () =>
  parts(async ({ mount, upper, target }) => {
    let server: ProcessIdentity | undefined;
    await within([mount()], target, () => {
      writeFileSync(join(target, 'new'), '1');
      assert.deepEqual(readdirSync(target).sort(), ['below', 'new']);
      const { type, source } = mountOf(target)!;
      assert.deepEqual([type, source], [FUSE_OVERLAYFS, upper]);
      server = serverOf(upper);
    });
    assert.equal(mountOf(target), undefined);
    assert.deepEqual(readdirSync(upper), ['new']);
    await ended(server!);
  }),
);

test('attributes of the mount are as asked for, set-user-id programs among them', { skip }, () =>
  parts(async ({ mount, target }) => {
    await within([mount()], target, () =>
      assert.ok(!mountOf(target)!.options.some((option) => /^no(?:suid|dev)$/.test(option))),
    );
    await within([mount('ro', 'nosuid', 'nodev')], target, () => {
      const { options } = mountOf(target)!;
      for (const option of ['ro', 'nosuid', 'nodev']) assert.ok(options.includes(option), option);
      assert.throws(() => writeFileSync(join(target, 'x'), ''), { code: 'EROFS' });
    });
  }),
);

test('what the program refuses is told in its words, and nothing stays mounted', { skip }, () =>
  parts(async ({ mount, target, upper }) => {
    const wrong = { ...mount(), options: [`upperdir=${upper}`, 'lowerdir=/nowhere/at/all'] };
    await assert.rejects(performMounts([wrong], target), {
      code: 'FAILED_PRECONDITION',
      message: /fuse-overlayfs: .+/,
    });
    assert.equal(mountOf(target), undefined);
  }),
);

test(
  'when its process dies, what was written is there, and it can be mounted again',
  { skip },
  () =>
    parts(async ({ mount, upper, target }) => {
      await within([mount()], target, async () => {
        writeFileSync(join(target, 'before'), 'written');
        const server = serverOf(upper);
        sendSignal(server, 9);
        await ended(server);
        assert.throws(() => readdirSync(target), { code: 'ENOTCONN' });
        assert.equal(isServed(mountOf(target)!), false);
      });
      assert.equal(mountOf(target), undefined);
      await within([mount()], target, () =>
        assert.equal(readFileSync(join(target, 'before'), 'utf8'), 'written'),
      );
    }),
);

test('owners are translated, both ways, where a map is given', { skip }, () =>
  parts(async ({ mount, upper, lower, target }) => {
    chownSync(join(lower, 'below'), 3, 4);
    const maps = ['uidmapping=0:1000:1:1:5000:100', 'gidmapping=0:2000:100'];
    await within([mount(...maps)], target, () => {
      const { uid, gid } = statSync(join(target, 'below'));
      assert.deepEqual([uid, gid], [5002, 2004]);
      symlinkSync('x', join(target, 'link'));
      writeFileSync(join(target, 'new'), '');
      chownSync(join(target, 'new'), 1000, 2007);
    });
    const { uid, gid } = statSync(join(upper, 'new'));
    assert.deepEqual([uid, gid], [0, 7]);
  }),
);

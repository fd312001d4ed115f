import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { isCode } from '../../errors.ts';
import { needs } from '../../testing/need.ts';
import { holdWhenFree } from '../alive.ts';
import type { Mount } from '../mount-data.ts';
import { performMounts } from '../mount.ts';
import { dropShared, isSharedMounted, releaseShared } from './shared.ts';
import { unmount } from './unmount.ts';
import { fileSystemUuid } from './uuid.ts';

const skip = needs('root');

interface Context {
  /** The directory of the shared mount points. */
  readonly shared: string;
  readonly target: string;
  /** A tmpfs on shared mount point `name`, and a bind of it. */
  readonly list: (name: string, uuid?: string) => Mount[];
}

async function within(run: (context: Context) => Promise<void>): Promise<void> {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'mica-shared-'));
  const [shared, target] = [join(dir.path, 'run', 'layers'), join(dir.path, 'target')];
  mkdirSync(target);
  const list = (name: string, uuid?: string): Mount[] => [
    {
      type: 'tmpfs',
      source: 'tmpfs',
      options: [],
      target: join(shared, name),
      ...(uuid && { uuid }),
    },
    { type: 'bind', source: join(shared, name), options: ['rbind'] },
  ];
  try {
    await run({ shared, target, list });
  } finally {
    for (const name of existsSync(shared) ? readdirSync(shared) : [])
      await dropShared(join(shared, name));
  }
}

async function use(mounts: readonly Mount[], target: string): Promise<void> {
  await using _ = await performMounts(mounts, target);
}

const isMounted = (path: string): boolean => statSync(path).dev !== statSync(join(path, '..')).dev;

test('stacks share a mount that is there, and it outlives them', { skip }, () =>
  within(async ({ shared, target, list }) => {
    await use(list('1'), target);
    writeFileSync(join(shared, '1', 'x'), '');
    assert.deepEqual(readdirSync(target), []);
    await using _ = await performMounts(list('1'), target);
    assert.deepEqual(readdirSync(target), ['x']);
    assert.equal(statSync(target).dev, statSync(join(shared, '1')).dev);
  }),
);

test('what is not needed is released, what is needed or in use stays', { skip }, () =>
  within(async ({ shared, target, list }) => {
    for (const name of ['1', '2', '3']) await use(list(name), target);
    const inUse = openSync(join(shared, '2'), 'r');
    await releaseShared(shared, () => new Set(['1', 'other']));
    assert.deepEqual(
      ['1', '2', '3'].map((name) => isMounted(join(shared, name))),
      [true, true, false],
    );
    closeSync(inUse);
    await releaseShared(shared, () => new Set(['1']));
    assert.equal(isMounted(join(shared, '2')), false);
    // The mount point stays: in another mount namespace it may be one.
    assert.deepEqual(readdirSync(shared).sort(), ['1', '2', '3']);
    await releaseShared(join(shared, 'none'), () => new Set());
  }),
);

test('whether a mount is needed is asked again when nobody can mount', { skip }, () =>
  within(async ({ shared, target, list }) => {
    for (const name of ['1', '2']) await use(list(name), target);
    const asked: string[] = [];
    const lock = await holdWhenFree(`${shared}.lock`);
    const first = Promise.withResolvers<void>();
    const released = releaseShared(shared, () => {
      asked.push('needed?');
      first.resolve();
      return new Set(asked.length === 1 ? [] : ['1']);
    });
    await first.promise;
    const mounting = performMounts(list('2'), target);
    assert.deepEqual([asked.length, isMounted(target)], [1, false]);
    lock[Symbol.dispose]();
    await released;
    await using _ = await mounting;
    assert.deepEqual(
      [asked.length, isMounted(join(shared, '1')), isMounted(target)],
      [2, true, true],
    );
    assert.equal(isMounted(join(shared, '2')), true);
  }),
);

test(
  'another file system of the same type is stale and replaced, users of it keep it',
  { skip },
  () =>
    within(async ({ shared, target, list }) => {
      await using _ = await performMounts(list('1'), target);
      writeFileSync(join(target, 'old'), '');
      const [mount] = list('1', fileSystemUuid(target));
      assert.equal(isSharedMounted({ ...mount!, target: mount!.target! }), true);
      const other = join(shared, '..', 'other');
      mkdirSync(other);
      await using _other = await performMounts(list('1', '0'.repeat(32)), other);
      assert.deepEqual([readdirSync(target), readdirSync(other)], [['old'], []]);
      assert.notEqual(statSync(target).dev, statSync(other).dev);
    }),
);

/** A mount on `target` whose daemon has ended. */
function mountDead(target: string): void {
  mkdirSync(target, { recursive: true });
  const daemon = openSync('/dev/fuse', 'r+');
  try {
    const options = 'fd=3,rootmode=40000,user_id=0,group_id=0';
    execFileSync('mount', ['-i', '-t', 'fuse', '-o', options, 'dead', target], {
      stdio: ['ignore', 'ignore', 'inherit', daemon],
    });
  } finally {
    closeSync(daemon);
  }
  assert.throws(() => statSync(target), { code: 'ENOTCONN' });
}

test(
  'a mount whose daemon is dead is replaced, released and dropped',
  { skip: needs('root', 'fuse-overlayfs') },
  () =>
    within(async ({ shared, target, list }) => {
      const [one, two, three] = ['1', '2', '3'].map((name) => join(shared, name));
      try {
        for (const path of [one!, two!, three!]) mountDead(path);
        await use(list('1'), target);
        assert.equal(isMounted(one!), true);
        await dropShared(two!);
        assert.equal(existsSync(two!), false);
        await releaseShared(shared, () => new Set(['1']));
        assert.equal(isMounted(three!), false);
      } finally {
        for (const path of [one!, two!, three!]) unmount(path, { detach: true });
      }
    }),
);

test('what somebody else mounted on a mount point is refused and left alone', { skip }, () =>
  within(async ({ shared, target, list }) => {
    mkdirSync(join(shared, '1'), { recursive: true });
    await using _ = await performMounts(
      [{ type: 'proc', source: 'proc', options: ['ro'] }],
      join(shared, '1'),
    );
    await assert.rejects(
      performMounts(list('1', '0'.repeat(32)), target),
      (error: Error) => isCode(error, 'FAILED_PRECONDITION') && /proc.*unmount/.test(error.message),
    );
    assert.ok(existsSync(join(shared, '1', 'self')));
    assert.deepEqual(readdirSync(target), []);
  }),
);

test(
  'dropping ends a mount, however often it is mounted, and removes the mount point',
  { skip },
  () =>
    within(async ({ shared, target, list }) => {
      await using _ = await performMounts(list('1'), target);
      await performMounts([{ type: 'tmpfs', source: 'tmpfs', options: [] }], join(shared, '1'));
      const inUse = openSync(join(shared, '1'), 'r');
      await dropShared(join(shared, '1'));
      await dropShared(join(shared, '1'));
      closeSync(inUse);
      assert.deepEqual(readdirSync(shared), []);
      assert.equal(isMounted(target), true);
      unmount(target);
      unmount(target);
    }),
);

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  fsyncSync,
  lstatSync,
  openSync,
  readFileSync,
  statfsSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { isCode } from '../../errors.ts';
import { errnoOf } from '../../sys/errno.ts';
import { syncFileSystem } from '../../sys/sync.ts';
import { file, tree } from '../tree.ts';
import type { Checks } from './check.ts';
import { leftIn, type Stage } from './stage.ts';
import type { DriverSuite, Space } from './suite.ts';

const MIB = 1 << 20;

/** What layers take, and what happens when there is no more. For a small environment. */
export function checkSpace({ check, see }: Checks, { limits }: DriverSuite): void {
  see('what snapshots take adds up to what is taken, and comes back', async (stage) => {
    const { driver, commit, unpack, remove } = stage;
    const { used: before } = await spaceOf(stage);
    await unpack('1', tree({ one: file(randomBytes(4 * MIB)) }));
    await commit('2', ['1'], (root) => writeFileSync(join(root, 'two'), randomBytes(3 * MIB)));
    await commit('3', ['2', '1'], (root) => writeFileSync(join(root, 'three'), randomBytes(MIB)));
    const snapshots = ['3', '2', '1'].map((id, at, ids) => ({
      id,
      kind: 'committed' as const,
      parents: ids.slice(at + 1),
    }));
    // What sealing has made superfluous may be in the trash still.
    await driver.purge?.();
    const taken = (await spaceOf(stage)).used - before;
    let sum = 0;
    for (const snapshot of snapshots) sum += (await driver.usage(snapshot)).size;
    assert.ok(sum >= 8 * MIB, `${sum}`);
    const besides = snapshots.length * (limits?.overhead?.bytes ?? 0);
    assert.ok(Math.abs(taken - sum) < MIB + besides, `${taken} bytes are taken, the sum is ${sum}`);
    for (const snapshot of snapshots) await remove(snapshot);
    await driver.purge?.();
    const isLittle = ({ used }: Space): boolean => used - before < MIB;
    const left = (await spaceWhen(isLittle, stage)).used - before;
    assert.ok(left < MIB, `${left} bytes are left`);
  });

  check(
    'a layer for which there is no room can be removed, and nothing else is harmed',
    async (stage) => {
      const { driver, unpack, remove, view } = stage;
      const [kept, small] = [randomBytes(MIB), randomBytes(MIB)];
      await unpack('1', tree({ kept: file(kept) }));
      const { free } = await spaceOf(stage);
      const half = randomBytes(Math.ceil(free / 2) + 4 * MIB);
      const large = tree({ a: file(half), b: file(half) });
      await assert.rejects(unpack('2', large, ['1']), isFull);
      await remove({ id: '2', kind: 'committed', parents: ['1'] });
      await driver.purge?.();
      await unpack('3', tree({ small: file(small) }), ['1']);
      if (driver.mounts === undefined) return;
      await view(['3', '1'], (root) => {
        assert.ok(readFileSync(join(root, 'kept')).equals(kept));
        assert.ok(readFileSync(join(root, 'small')).equals(small));
      });
    },
  );

  see(
    'a container that takes all the room there is can be removed, and nothing else is harmed',
    async (stage) => {
      const { driver, commit, create, show, remove, view } = stage;
      const [kept, small] = [randomBytes(MIB), randomBytes(MIB)];
      await commit('1', [], (root) => writeFileSync(join(root, 'kept'), kept));
      const full = { id: '2', kind: 'active', parents: ['1'] } as const;
      await create(full);
      await show(full, (root) => assert.throws(() => fill(join(root, 'filler')), isFull));
      // What needs room to be sealed fails as that.
      await driver.seal?.(full).catch((error: unknown) => assert.ok(isFull(error), String(error)));
      await remove(full);
      await driver.purge?.();
      await spaceWhen(({ free }) => free >= 4 * MIB, stage);
      await commit('3', ['1'], (root) => writeFileSync(join(root, 'small'), small));
      await view(['3', '1'], (root) => {
        assert.ok(readFileSync(join(root, 'kept')).equals(kept));
        assert.ok(readFileSync(join(root, 'small')).equals(small));
      });
    },
  );

  see(
    'a limit of the writable layer holds, or is refused before anything is made',
    async (stage) => {
      const { layers, commit, create, show } = stage;
      const maxSize = Math.max(16 * MIB, limits?.quota?.least ?? 0);
      await commit('1', [], (root) => writeFileSync(join(root, 'below'), randomBytes(MIB)));
      const active = { id: '2', kind: 'active', parents: ['1'] } as const;
      try {
        await create(active, { maxSize });
      } catch (error) {
        assert.ok(isCode(error, 'NOT_IMPLEMENTED'), String(error));
        assert.ok(!leftIn(layers).includes('2'));
        return;
      }
      await show(active, (root) => {
        writeFileSync(join(root, 'fits'), randomBytes(4 * MIB));
        assert.throws(() => fill(join(root, 'filler')), isFull);
        const { size } = lstatSync(join(root, 'filler'));
        assert.ok(size <= maxSize && size > maxSize / 4, `${size}`);
      });
    },
  );
}

async function spaceOf({ environment, layers }: Stage): Promise<Space> {
  const { path, space } = environment;
  await syncFileSystem(path);
  if (space !== undefined) return space(layers);
  const { blocks, bfree, bavail, bsize } = statfsSync(path);
  return { used: (blocks - bfree) * bsize, free: bavail * bsize };
}

/**
 * Waits until there is room again: a mount namespace that somebody makes has a copy of a mount, and
 * with it the file that was deleted, for a moment. @returns what there is then, or after 30 seconds
 */
async function spaceWhen(isEnough: (space: Space) => boolean, stage: Stage): Promise<Space> {
  for (let tries = 0; ; tries++) {
    const space = await spaceOf(stage);
    if (tries >= 600 || isEnough(space)) return space;
    await setTimeout(50);
  }
}

/** Writes until something says no. */
function fill(path: string): void {
  const fd = openSync(path, 'w');
  try {
    const piece = randomBytes(MIB);
    for (;;) {
      writeSync(fd, piece);
      fsyncSync(fd);
    }
  } finally {
    closeSync(fd);
  }
}

function isFull(error: unknown): boolean {
  const code = errnoOf(error);
  return isCode(error, 'RESOURCE_EXHAUSTED') || code === 'ENOSPC' || code === 'EDQUOT';
}

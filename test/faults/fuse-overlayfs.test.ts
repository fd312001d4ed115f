import assert from 'node:assert/strict';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { identify, isAlive, type ProcessIdentity, sendSignal } from '../../src/sys/process.ts';
import { needs } from '../../src/testing/need.ts';
import { file, tree } from '../../src/testing/tree.ts';
import { openOrigin } from '../support/origin.ts';
import { mountsBelow, openTemporaryEngine } from '../support/store.ts';

const origin = openOrigin();
after(async () => (await origin)[Symbol.asyncDispose]());

/** Programs that serve mounts of a store, by the directories that they have open. */
function servers(root: string): ProcessIdentity[] {
  const found: ProcessIdentity[] = [];
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name)))
    try {
      if (!readFileSync(`/proc/${pid}/cmdline`, 'latin1').startsWith('fuse-overlayfs')) continue;
      const open = readdirSync(`/proc/${pid}/fd`).map((fd) => targetOf(`/proc/${pid}/fd/${fd}`));
      if (open.some((path) => path.startsWith(root))) found.push(identify(Number(pid))!);
    } catch {
      // It has just ended.
    }
  return found;
}

/** Nothing of what was just closed. */
function targetOf(fd: string): string {
  try {
    return readlinkSync(fd);
  } catch {
    return '';
  }
}

async function untilEnded(all: readonly ProcessIdentity[]): Promise<void> {
  for (const until = performance.now() + 60_000; all.some(isAlive);) {
    assert.ok(performance.now() < until);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

test(
  'a view whose program has died is mounted again, and unmounted as any other',
  { skip: needs('fuse-overlayfs') },
  async () => {
    const there = await origin;
    await there.image('fuse', [tree({ a: file('1') }), tree({ b: file('2') })]);
    await using engine = await openTemporaryEngine({ driver: 'fuse-overlayfs' });
    const name = `${new URL(there.url).host}/fuse`;
    await engine.pull(name);
    const kill = async (): Promise<void> => {
      const all = servers(engine.root);
      assert.equal(all.length, 1);
      for (const one of all) sendSignal(one, 9);
      await untilEnded(all);
    };
    const { target } = await engine.mount(name);
    await kill();
    assert.throws(() => readdirSync(target), { code: 'ENOTCONN' });
    assert.deepEqual(await engine.mounted(), []);
    assert.equal((await engine.mount(name)).target, target);
    assert.equal(readFileSync(join(target, 'b'), 'utf8'), '2');
    assert.equal(mountsBelow(engine.root).length, 1);
    await kill();
    await engine.gc();
    await engine.mount(name);
    await engine.unmount(target);
    assert.deepEqual(mountsBelow(engine.root), []);
    await untilEnded(servers(engine.root));
    assert.deepEqual((await engine.check()).problems, []);
  },
);

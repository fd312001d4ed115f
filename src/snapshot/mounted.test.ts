import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, symlinkSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { lowerdirOption } from '../sys/mount-data.ts';
import { performMounts } from '../sys/mount.ts';
import { needs } from '../testing/need.ts';
import { mountedFrom, staysMountedFrom } from './mounted.ts';

async function directories(): Promise<
  AsyncDisposable & Record<'own' | 'upper' | 'work' | 'lower' | 'target', string>
> {
  const dir = await mkdtempDisposable(join(tmpdir(), 'mica-mounted-'));
  const own = join(dir.path, 'layers', '1');
  const paths = {
    own,
    upper: join(own, 'fs'),
    work: join(own, 'work'),
    lower: join(dir.path, 'layers', '12', 'fs'),
    target: join(dir.path, 'target'),
  };
  for (const path of Object.values(paths)) mkdirSync(path, { recursive: true });
  return { ...paths, [Symbol.asyncDispose]: () => dir.remove() };
}

/** Whoever makes himself a mount namespace meanwhile has copies of our mounts, for a moment. */
async function unmounted(directory: string): Promise<void> {
  for (let n = 0; mountedFrom(directory).length > 0 && n < 3000; n++) await setTimeout(20);
  assert.deepEqual(mountedFrom(directory), []);
}

test(
  'a bind of a directory, and an overlay that writes to it, are found',
  { skip: needs('overlay') },
  async () => {
    await using dirs = await directories();
    const { own, upper, work, lower, target } = dirs;
    assert.deepEqual(mountedFrom(own), []);
    const bind = { type: 'bind', source: upper, options: ['rbind'] };
    const union = {
      type: 'overlay',
      source: 'overlay',
      options: [`upperdir=${upper}`, `workdir=${work}`, lowerdirOption([lower])],
    };
    for (const mount of [bind, union]) {
      await using _ = await performMounts([mount], target);
      assert.deepEqual(mountedFrom(own), [target]);
      assert.deepEqual(mountedFrom(join(own, 'elsewhere')), []);
    }
    await unmounted(own);
  },
);

test(
  'an overlay is found by whichever name of the store it was mounted, and it is asked for',
  { skip: needs('overlay') },
  async () => {
    await using dirs = await directories();
    const { own, lower, target } = dirs;
    const [layers, link] = [join(own, '..'), join(own, '../../other, name')];
    symlinkSync('layers', link);
    for (const [by, asked] of [
      [layers, link],
      [link, layers],
      [link, link],
    ] as const) {
      const of = (name: string): string => join(by, '1', name);
      const options = [`upperdir=${of('fs')}`, `workdir=${of('work')}`, lowerdirOption([lower])];
      await using _ = await performMounts(
        [{ type: 'overlay', source: 'overlay', options }],
        target,
      );
      assert.deepEqual(mountedFrom(join(asked, '1')), [target]);
      assert.deepEqual(mountedFrom(join(asked, '12')), []);
    }
  },
);

test(
  'a mount of a neighbour whose name begins alike is not taken for one of ours',
  { skip: needs('overlay') },
  async () => {
    await using dirs = await directories();
    const bind = { type: 'bind', source: dirs.lower, options: ['rbind'] };
    await using _ = await performMounts([bind], dirs.target);
    assert.deepEqual(mountedFrom(dirs.own), []);
  },
);

/** In a mount namespace of its own, until it is told to end. */
async function inAnotherNamespace(script: string, ...args: string[]): Promise<() => Promise<void>> {
  const all = ['-m', 'sh', '-c', `${script} && echo ready && read _`, 'sh', ...args];
  const child = spawn('unshare', all, { stdio: ['pipe', 'pipe', 'inherit'] });
  const exit = once(child, 'exit');
  await once(child.stdout, 'data');
  return async () => {
    child.stdin.end();
    await exit;
  };
}

test('a mount in another namespace is found', { skip: needs('overlay') }, async () => {
  await using dirs = await directories();
  const end = await inAnotherNamespace('mount --bind "$1" "$2"', dirs.upper, dirs.target);
  try {
    assert.deepEqual(mountedFrom(dirs.own), [dirs.target]);
  } finally {
    await end();
  }
  await unmounted(dirs.own);
});

test(
  'a copy of a mount in a namespace that ends soon is waited for, a mount of our own is not',
  { skip: needs('overlay') },
  async () => {
    await using dirs = await directories();
    const bind = { type: 'bind', source: dirs.upper, options: ['rbind'] };
    let end: () => Promise<void>;
    {
      await using _ = await performMounts([bind], dirs.target);
      end = await inAnotherNamespace('true');
      assert.equal(await staysMountedFrom(dirs.own, { unused: 'ignored' }), dirs.target);
    }
    try {
      assert.deepEqual(mountedFrom(dirs.own), [dirs.target]);
      assert.equal(
        await staysMountedFrom(dirs.own, { unused: 'ignored' }),
        undefined,
        'nobody uses it',
      );
      const stays = staysMountedFrom(dirs.own, { unused: 'counts' });
      await end();
      assert.equal(await stays, undefined);
    } finally {
      await end();
    }
  },
);

for (const use of ['cd "$1"', 'exec 3> "$1/open"'])
  test(
    `a mount elsewhere counts while a process uses it: ${use}`,
    { skip: needs('overlay') },
    async () => {
      await using dirs = await directories();
      const bind = { type: 'bind', source: dirs.upper, options: ['rbind'] };
      let end: () => Promise<void>;
      {
        await using _ = await performMounts([bind], dirs.target);
        end = await inAnotherNamespace(use, dirs.target);
      }
      try {
        let answer: string | undefined = 'none yet';
        const asked = staysMountedFrom(dirs.own, { unused: 'ignored' }).then(
          (target) => (answer = target),
        );
        await setTimeout(100);
        assert.equal(answer, 'none yet');
        await end();
        assert.equal(await asked, undefined);
      } finally {
        await end();
      }
    },
  );

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import type { Engine } from '../../src/engine/engine.ts';
import { isCode } from '../../src/errors.ts';
import { unmount } from '../../src/sys/mount/unmount.ts';
import { needs } from '../../src/testing/need.ts';
import { file, tree } from '../../src/testing/tree.ts';
import { openOrigin } from '../support/origin.ts';
import { mountsBelow, openTemporaryEngine } from '../support/store.ts';

/** Views that are mounted by several at once, elsewhere, by somebody who dies, and unmounted by others. */
const skip = needs('root', 'overlay');
const origin = openOrigin();
after(async () => (await origin)[Symbol.asyncDispose]());

interface Pulled {
  readonly engine: Engine;
  readonly name: string;
  readonly root: string;
  /** Beside the store. */
  readonly beside: string;
}

/** With an image of two layers in a store, and without a mount or an image in the end. */
async function withImage(run: (pulled: Pulled) => Promise<void>): Promise<void> {
  const there = await origin;
  await there.image('views/image', [tree({ base: file('1') }), tree({ top: file('2') })]);
  await using engine = await openTemporaryEngine();
  const name = `${new URL(there.url).host}/views/image`;
  await engine.pull(name);
  const { root } = await engine.info();
  const beside = dirname(root);
  try {
    await run({ engine, name, root, beside });
    for (const { target } of await engine.mounted()) await engine.unmount(target);
    await removeWhenFree(engine, name);
    await engine.gc();
    assert.deepEqual(mountsBelow(beside), []);
    assert.deepEqual(layersIn(root), []);
  } finally {
    for (const target of mountsBelow(beside).toReversed()) unmount(target, { detach: true });
  }
}

/** The number of a mount namespace that has ended is given again: for a moment it may look alive. */
async function removeWhenFree(engine: Engine, name: string): Promise<void> {
  for (let tries = 0; ; tries++)
    try {
      return void (await engine.remove(name));
    } catch (error) {
      if (!isCode(error, 'CONFLICT') || tries === 100) throw error;
      await setTimeout(50);
    }
}

const layersIn = (root: string): string[] =>
  readdirSync(join(root, 'layers')).filter((entry) => entry !== '.trash');

const viewsBelow = (directory: string): string[] =>
  mountsBelow(directory).filter((target) => !target.includes('/run/layers/'));

/** Runs statements on `engine`, in a process of their own that `command` starts. */
function start(
  command: readonly string[],
  root: string,
  statements: string,
): ReturnType<typeof spawn> {
  const module = new URL('../../src/engine/open.ts', import.meta.url).href;
  const source = `
    import { openEngine } from ${JSON.stringify(module)};
    import { StatementSync } from 'node:sqlite';
    const engine = await openEngine({ root: ${JSON.stringify(root)} });
    ${statements}`;
  const [program, ...rest] = [...command, process.execPath, '--input-type=module', '-e', source];
  return spawn(program, rest, { stdio: ['pipe', 'pipe', 'inherit'] });
}

test('who mounts an image at the same time as others gets the same one view', { skip }, () =>
  withImage(async ({ engine, name, root, beside }) => {
    const others = [1, 2].map(() =>
      once(start([], root, `await engine.mount(${JSON.stringify(name)});`), 'exit'),
    );
    const views = await Promise.all([engine.mount(name), engine.mount(name), engine.mount(name)]);
    assert.deepEqual(await Promise.all(others), [
      [0, null],
      [0, null],
    ]);
    assert.deepEqual(viewsBelow(beside), [views[0].target]);
    assert.deepEqual(await engine.mounted(), [views[0]]);
  }),
);

test('a view is known by whatever symbolic links its place was named', { skip }, () =>
  withImage(async ({ engine, name, beside }) => {
    mkdirSync(join(beside, 'real', 'view'), { recursive: true });
    symlinkSync('real', join(beside, 'link'));
    const target = join(beside, 'link', 'view');
    const view = await engine.mount(name, { target });
    assert.equal(view.target, join(beside, 'real', 'view'));
    assert.deepEqual(await engine.mount(name, { target }), view);
    await engine.gc();
    assert.deepEqual(await engine.mounted(), [view]);
    await assert.rejects(engine.remove(name), (error) => isCode(error, 'CONFLICT'));
    assert.deepEqual(await engine.unmount(target), [view.target]);
    assert.deepEqual(viewsBelow(beside), []);
  }),
);

for (const moment of ['before', 'after'])
  test(
    `what was mounted by who was killed ${moment} writing it down can be unmounted`,
    { skip },
    () =>
      withImage(async ({ engine, name, root, beside }) => {
        const child = start(
          [],
          root,
          `const { run } = StatementSync.prototype;
         StatementSync.prototype.run = function (...values) {
           const isIt = this.sourceSQL.includes('into mount');
           if (isIt && ${moment === 'before'}) process.kill(process.pid, 'SIGKILL');
           const result = run.apply(this, values);
           if (isIt) process.kill(process.pid, 'SIGKILL');
           return result;
         };
         await engine.mount(${JSON.stringify(name)});`,
        );
        assert.deepEqual(await once(child, 'exit'), [null, 'SIGKILL']);
        assert.deepEqual(
          viewsBelow(beside),
          (await engine.mounted()).map(({ target }) => target),
        );
      }),
  );

test('an image whose view was unmounted by hand can be removed', { skip }, () =>
  withImage(async ({ engine, name }) => {
    const { target } = await engine.mount(name);
    unmount(target);
    assert.deepEqual(await engine.mounted(), []);
  }),
);

test('a view of another mount namespace counts as long as that is there', { skip }, () =>
  withImage(async ({ engine, name, root }) => {
    const wait = `console.log((await engine.mount(${JSON.stringify(name)})).target); await new Promise((end) => process.stdin.on('end', end).resume());`;
    const child = start(['unshare', '--mount'], root, wait);
    const ended = once(child, 'exit');
    await once(child.stdout!, 'data');
    await assert.rejects(engine.remove(name), (error) => isCode(error, 'CONFLICT'));
    child.stdin!.end();
    assert.deepEqual(await ended, [0, null]);
  }),
);
